// The chart of one decision: what was known then, a line, and what came after in pale.
import { CandlestickSeries, LineStyle, createChart } from "../lightweight-charts/lightweight-charts.standalone.production.mjs";
import { Card, FillTicks, holding } from "./marks.js";
import { chartOptions, priceFormat, read } from "./price.js";
import { barOf, digitsOf, holesText, withHoles } from "./series.js";
import { colours, onThemeChange } from "./theme.js";

const REFRESH_MS = 5000;
const box = document.getElementById("decision-chart");

const pale = (colour) => (/^#[0-9a-f]{6}$/i.test(colour) ? `${colour}aa` : colour);

function bar([time, open, high, low, close], known, ink) {
  if (open === undefined) return { time };
  const rises = close >= open;
  const colour = rises ? ink.up : ink.down;
  const shown = known ? colour : pale(colour);
  return { time, open, high, low, close, color: rises ? ink.panel : shown, borderColor: shown, wickColor: shown };
}

class DecisionChart {
  constructor(element) {
    this.element = element;
    this.ink = colours();
    this.chart = createChart(element, chartOptions(this.ink));
    this.levels = [];
    this.series = this.chart.addSeries(CandlestickSeries, {
      priceLineVisible: false, lastValueVisible: false, borderVisible: true, autoscaleInfoProvider: holding(() => this.levels),
    });
    this.ticks = new FillTicks();
    this.series.attachPrimitive(this.ticks);
    this.card = new Card(element);
    this.chart.subscribeCrosshairMove((move) => this.hover(move));
    this.lines = [];
    this.cut = document.createElement("div");
    this.cut.className = "chart-cut";
    this.cut.hidden = true;
    element.append(this.cut);
    this.knownBars = 0;
    this.chart.timeScale().subscribeVisibleLogicalRangeChange(() => this.placeCut());
    onThemeChange(() => {
      this.ink = colours();
      this.chart.applyOptions(chartOptions(this.ink));
      if (this.data) this.show(this.data);
    });
  }

  show(data) {
    this.data = data;
    const rows = [...data.known, ...data.after];
    const lastKnown = data.known.at(-1)?.[0] ?? -Infinity;
    const { drawn, missing } = withHoles(rows, data.timeframe);
    const candles = drawn.map((row) => bar(row, row[0] <= lastKnown, this.ink));
    this.times = rows.map(([time]) => time);
    this.note(candles.length ? "" : "No candles of this time are stored.");
    this.series.applyOptions({ priceFormat: priceFormat({ precision: digitsOf(data.tick), tick: data.tick }) });
    this.series.setData(candles);
    this.knownBars = drawn.filter(([time]) => time < data.decided_in).length;
    this.drawLevels(data.levels);
    const ticks = this.fillTicks();
    this.ticks.set(ticks, this.ink.panel);
    this.sayHoles(holesText(missing, data.fills.length - ticks.length));
    if (!this.fitted && candles.length) {
      this.chart.timeScale().setVisibleLogicalRange({ from: Math.max(0, this.knownBars - 60), to: this.knownBars + 45 });
      this.fitted = true;
    }
    this.placeCut();
  }

  drawLevels(levels) {
    this.levels = Object.values(levels).filter((price) => price !== null);
    this.lines.forEach((line) => this.series.removePriceLine(line));
    const styles = {
      target: { color: this.ink.up, title: "target" },
      entry: { color: this.ink.text, title: levels.stop === null ? "price" : "entry" },
      stop: { color: this.ink.down, title: "stop" },
    };
    this.lines = Object.entries(levels)
      .filter(([, price]) => price !== null)
      .map(([name, price]) => this.series.createPriceLine({
        price, lineWidth: 1, lineStyle: LineStyle.Dashed, axisLabelVisible: true, ...styles[name],
      }));
  }

  sayHoles(text) {
    const note = document.getElementById("chart-holes");
    if (note) note.textContent = text;
  }

  fillTicks() {
    const bar = (time) => barOf(this.times, time, this.data.timeframe);
    return this.data.fills
      .map(({ price, time }, index) => ({ id: index, price, time: bar(time), colour: this.ink.info }))
      .filter((fill) => fill.time !== undefined);
  }

  hover(move) {
    const fill = this.data?.fills[move.hoveredObjectId];
    const price = fill && this.series.priceFormatter().format(fill.price);
    this.card.show(fill ? [`${fill.side === "buy" ? "Bought" : "Sold"} ${fill.text} at ${price}`] : [], move.point);
  }

  placeCut() {
    // Half-way between the last bar before the decision and the one that it fell into.
    const scale = this.chart.timeScale();
    const [known, next] = [this.knownBars - 1, this.knownBars].map((bar) => scale.logicalToCoordinate(bar));
    this.cut.hidden = !this.knownBars || known === null || next === null || next < 0;
    if (!this.cut.hidden) this.cut.style.left = `${Math.round((known + next) / 2)}px`;
  }

  note(text) {
    const note = this.element.querySelector(".chart-note");
    note.textContent = text;
    note.hidden = !text;
  }
}

async function refresh(chart) {
  const data = await read(box.dataset.url);
  chart.show(data);
  return data.open;
}

async function follow(chart) {
  let running = true;
  try {
    running = document.hidden || await refresh(chart);
  } catch (error) {
    if (!chart.fitted) chart.note(`The candles could not be loaded: ${error.message}. Trying again.`);
  }
  if (running) setTimeout(() => follow(chart), REFRESH_MS);
}

if (box) follow(new DecisionChart(box));
