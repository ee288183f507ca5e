// The equity curve. Wall time, UTC.
import uPlot from "../uplot/uPlot.esm.js";
import { onReturn } from "./live.js";
import { bandAround, digitsOf, gapsText, tickText, withGaps } from "./series.js";
import { colours, onThemeChange } from "./theme.js";
import { now } from "./times.js";

const write = (value) => value?.toLocaleString("en-GB", { minimumFractionDigits: 2, maximumFractionDigits: 2 }) ?? "–";

// As wide as the longest of its labels: a desk may be worth 50 or 50 million.
function axisWidth(plot, labels, index) {
  const { font, ticks, gap } = plot.axes[index];
  const longest = (labels ?? []).reduce((one, other) => (other.length > one.length ? other : one), "");
  [plot.ctx.font] = font;
  return Math.ceil(ticks.size + gap + 8 + plot.ctx.measureText(longest).width / devicePixelRatio);
}

function priced(ticks, step) {
  const digits = digitsOf(step);
  return ticks.map((tick) => tick.toLocaleString("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
}

class EquityCurve {
  constructor(element) {
    this.element = element;
    this.hours = 24;
  }

  async load() {
    let data;
    try {
      const answer = await fetch(`/data/equity?hours=${this.hours}`);
      if (!answer.ok) throw new Error(String(answer.status));
      data = await answer.json();
    } catch {
      // A curve that is drawn stays: what is missing comes with the next return.
      if (!this.plot) this.note("The equity could not be read.");
      return;
    }
    this.currency = data.currency;
    this.spacing = data.spacing;
    [this.times, this.values] = withGaps(data.points, data.holes);
    this.holes = data.holes;
    this.say(this.holes);
    this.tell(data.points.at(-1)?.[1]);
    if (this.times.length < 2) {
      this.note("The curve begins with the second mark of equity, a few seconds after the desk starts.");
      setTimeout(() => this.load(), 10_000);
      return;
    }
    this.draw();
  }

  say(holes) {
    const note = document.getElementById("equity-holes");
    if (note) note.textContent = gapsText(holes);
  }

  // What the curve ends at, beside its name: no tick of the axis need stand there.
  tell(value) {
    const text = document.getElementById("equity-now");
    if (!text || value === undefined) return;
    text.textContent = `${write(value)} ${this.currency}`;
    this.element.setAttribute("aria-label", `Equity curve, now ${text.textContent}`);
  }

  note(text) {
    this.plot?.destroy();
    this.plot = undefined;
    let note = this.element.querySelector(".chart-note");
    if (!note) {
      note = document.createElement("p");
      note.className = "chart-note";
      this.element.append(note);
    }
    note.textContent = text;
  }

  draw() {
    const tone = colours();
    this.plot?.destroy();
    this.element.replaceChildren();
    const axis = { stroke: tone.muted, grid: { stroke: tone.grid, width: 1 }, ticks: { stroke: tone.line, width: 1 }, font: `12px ${tone.font}` };
    this.plot = new uPlot({
      width: this.element.clientWidth,
      height: this.element.clientHeight,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      padding: [8, 12, 0, 0],
      legend: { show: false },
      cursor: { y: false },
      scales: { x: { time: true }, y: { range: (_, low, high) => bandAround(low, high) } },
      // Room for a label with seconds, so that two never touch.
      axes: [
        { ...axis, space: 80, values: (_, ticks, __, ___, step) => ticks.map((tick) => tickText(tick, step)) },
        { ...axis, size: axisWidth, values: (_, ticks, __, ___, step) => priced(ticks, step) },
      ],
      series: [{}, { label: `Equity, ${this.currency}`, stroke: tone.info, width: 1.5, points: { show: false }, value: (_, value) => write(value) }],
      hooks: { setCursor: [(plot) => this.hover(plot)] },
    }, [this.times, this.values], this.element);
  }

  hover(plot) {
    const index = plot.cursor.idx;
    this.element.title = index == null || plot.data[1][index] === null ? "" : `${write(plot.data[1][index])} ${this.currency}, ${new Date(plot.data[0][index] * 1000).toISOString().slice(0, 19).replace("T", " ")} UTC`;
  }

  leaveOpen(from, to) {
    this.holes.push([from, to]);
    this.times.push((from + to) / 2);
    this.values.push(null);
    this.say(this.holes);
  }

  add(equity) {
    if (!this.plot || equity === null) return;
    this.tell(equity);
    const seconds = now() / 1000;
    // The last point moves along until it is a quarter of a percent of the curve away from the one before it.
    const last = this.times.length - 1;
    const late = seconds - this.times[last] > this.spacing;
    if (late) this.leaveOpen(this.times[last], seconds);
    const apart = Math.max(5, (seconds - this.times[0]) / 400);
    if (!late && last > 0 && this.times[last] - this.times[last - 1] < apart) {
      this.times[last] = seconds;
      this.values[last] = equity;
    } else {
      this.times.push(seconds);
      this.values.push(equity);
    }
    while (this.times.length && this.times[0] < seconds - this.hours * 3600) {
      this.times.shift();
      this.values.shift();
    }
    this.plot.setData([this.times, this.values]);
  }

  start() {
    this.load();
    this.element.addEventListener("desk:data", (event) => this.add(event.detail.equity));
    onReturn(() => this.load());
    new ResizeObserver(() => this.plot?.setSize({ width: this.element.clientWidth, height: this.element.clientHeight })).observe(this.element);
    onThemeChange(() => this.plot && this.draw());
    const buttons = this.element.closest(".panel")?.querySelectorAll("button[data-hours]") ?? [];
    for (const button of buttons) {
      button.addEventListener("click", () => {
        this.hours = Number(button.dataset.hours);
        for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
        this.load();
      });
    }
  }
}

for (const element of document.querySelectorAll("[data-equity]")) {
  element.curve = new EquityCurve(element);
  element.curve.start();
}
