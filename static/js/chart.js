// The price chart: candles with decisions, fills, entry, stop and target. Attributes of the element:
//   data-chart, data-symbol; optional data-timeframe, data-count, data-until (UTC seconds: nothing later is drawn),
//   data-topic "chart:SYMBOL" (live).
import {
  CandlestickSeries, HistogramSeries, LineStyle, createChart, createSeriesMarkers,
} from "../lightweight-charts/lightweight-charts.standalone.production.mjs";
import { onReturn } from "./live.js";
import { Card, FillTicks, holding } from "./marks.js";
import { candleOptions, chartOptions, query, read, roomFor } from "./price.js";
import { barOf, holesText, isBehind, withHoles } from "./series.js";
import { colours, onThemeChange } from "./theme.js";

const SHAPES = { BUY: "arrowUp", SELL: "arrowDown", CLOSE: "square", HOLD: "circle" };
const MAX_MARKERS = 600;
const MAX_ROWS = 3000;

class PriceChart {
  constructor(element) {
    this.element = element;
    this.symbol = element.dataset.symbol;
    this.marks = new Map();
    this.lines = new Map();
    this.lineUrls = [];
    this.times = [];
    this.rows = [];
    this.items = [];
    this.missing = 0;
    this.forming = undefined;
    this.reloading = false;
  }

  readCandles() {
    const { timeframe, count, until } = this.element.dataset;
    return read(`/data/candles?${query({ symbol: this.symbol, timeframe, count, until })}`);
  }

  async readMarks() {
    const { until } = this.element.dataset;
    const marks = await read(`/data/markers?${query({ symbol: this.symbol, start: this.rows[0][0], end: until })}`).catch(() => null);
    if (marks) this.setMarks(marks.markers, until ? [] : marks.lines);
  }

  // Everything anew: what the socket brings is only the end of it.
  async reload() {
    if (this.reloading) return;
    this.reloading = true;
    try {
      const data = await this.readCandles();
      if (data.candles.length) {
        this.setCandles(data.candles);
        this.setPrice(data);
        await this.readMarks();
      }
    } catch {
      // The desk is away; the next message that doesn't fit brings us here again.
    } finally {
      this.reloading = false;
    }
  }

  async start() {
    let data;
    try {
      data = await this.readCandles();
    } catch {
      this.note("The candles could not be read. The page tries again when it is reloaded.");
      return;
    }
    if (!data.candles.length) {
      this.note("No candles yet. The chart appears with the first one.");
      this.element.addEventListener("desk:data", () => location.reload(), { once: true });
      return;
    }
    this.data = data;
    this.draw();
    this.setCandles(data.candles);
    this.setPrice(data);
    this.element.addEventListener("desk:data", (event) => this.update(event.detail));
    if (!this.element.dataset.until) onReturn(() => this.reload());
    this.element.addEventListener("click", (event) => this.open(event));
    await this.readMarks();
  }

  note(text) {
    const note = this.element.querySelector(".chart-note");
    if (note) note.textContent = text;
  }

  draw() {
    this.element.querySelector(".chart-note")?.remove();
    this.chart = createChart(this.element, chartOptions(colours(), this.data.timeframe));
    this.candles = this.chart.addSeries(CandlestickSeries, {
      ...candleOptions(colours(), this.data), autoscaleInfoProvider: holding(() => this.lineUrls.map((line) => line.price)),
    });
    this.volume = this.chart.addSeries(HistogramSeries, { priceScaleId: "volume", priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false });
    this.chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.86, bottom: 0 } });
    this.drawn = createSeriesMarkers(this.candles, []);
    this.ticks = new FillTicks();
    this.candles.attachPrimitive(this.ticks);
    this.card = new Card(this.element);
    this.chart.subscribeCrosshairMove((move) => this.hover(move));
    onThemeChange(() => {
      this.chart.applyOptions(chartOptions(colours(), this.data.timeframe, this.room));
      this.candles.applyOptions(candleOptions(colours(), this.data));
      this.drawCandles();
      this.redrawMarks();
    });
  }

  setCandles(rows) {
    this.rows = rows;
    this.times = rows.map((row) => row[0]);
    if (this.forming && this.forming[0] <= this.times.at(-1)) this.forming = undefined;
    const { drawn, missing } = withHoles(rows, this.data.timeframe);
    this.missing = missing;
    this.items = this.forming ? withHoles([...drawn, this.forming], this.data.timeframe).drawn : drawn;
    this.drawCandles();
  }

  drawCandles() {
    const tone = colours();
    const priced = ([time, open, high, low, close]) => (open === undefined ? { time } : { time, open, high, low, close });
    const traded = ([time, open, , , close, value]) => (value === undefined ? { time } : { time, value, color: `${close >= open ? tone.up : tone.down}44` });
    this.candles.setData(this.items.map(priced));
    this.volume.setData(this.items.map(traded));
    this.drawLast(tone);
  }

  // The price now: the end of the last candle, in the colour of its rim.
  drawLast(tone) {
    const [, open, , , close] = this.forming ?? this.rows.at(-1);
    const options = { price: close, color: close >= open ? tone.up : tone.down, lineWidth: 1, lineStyle: LineStyle.Dotted, axisLabelVisible: true, title: "" };
    if (this.last) this.last.applyOptions(options);
    else this.last = this.candles.createPriceLine(options);
  }

  // The candle that is not closed yet moves with the price, which the header shows as well.
  setPrice({ price, forming }) {
    if (price === null || price === undefined) return;
    const [lastTime, , , , lastClose] = this.rows.at(-1);
    const text = document.getElementById("chart-price");
    if (text) {
      text.textContent = this.candles.priceFormatter().format(price);
    }
    if (forming === null || forming <= lastTime) return;
    const before = this.forming?.[0] === forming ? this.forming : [forming, lastClose, lastClose, lastClose, lastClose];
    this.forming = [forming, before[1], Math.max(before[2], price), Math.min(before[3], price), price];
    this.setCandles(this.rows);
  }

  update(fresh) {
    const { timeframe, kind } = this.data;
    if (fresh.timeframe !== timeframe || fresh.kind !== kind || (fresh.as_of ?? 0) + timeframe * 2 < this.times.at(-1)) {
      // The market moved to other candles (a replay began or ended): draw anew.
      location.reload();
      return;
    }
    if (isBehind(this.times, fresh.candles, timeframe)) {
      this.reload();
      return;
    }
    const rows = new Map([...this.rows, ...fresh.candles].map((row) => [row[0], row]));
    this.setCandles([...rows.values()].sort((one, other) => one[0] - other[0]).slice(-MAX_ROWS));
    this.setPrice(fresh);
    this.setMarks(fresh.markers, fresh.lines);
  }

  setMarks(markers, lines) {
    for (const marker of markers) this.marks.set(marker.id, marker);
    while (this.marks.size > MAX_MARKERS) this.marks.delete(this.marks.keys().next().value);
    this.redrawMarks();
    if (lines) this.setLines(lines);
  }

  redrawMarks() {
    const tone = colours();
    const [glyphs, ticks] = [[], []];
    let outside = 0;
    this.at = new Map();
    for (const marker of this.marks.values()) {
      const time = this.barOfMark(marker);
      if (time === undefined) {
        if (marker.time >= this.times[0]) outside += 1;
        continue;
      }
      this.at.set(time, [...this.at.get(time) ?? [], marker]);
      if (marker.kind === "fill") ticks.push({ id: marker.id, time, price: marker.price, colour: tone.info });
      else glyphs.push(this.glyph(marker, time, tone));
    }
    glyphs.sort((one, other) => one.time - other.time);
    this.drawn.setMarkers(glyphs);
    this.ticks.set(ticks, tone.panel);
    this.sayHoles(outside);
  }

  barOfMark(marker) {
    const times = this.forming ? [...this.times, this.forming[0]] : this.times;
    return barOf(times, marker.time, this.data.timeframe);
  }

  sayHoles(marks) {
    const note = document.getElementById("chart-holes");
    if (note) note.textContent = holesText(this.missing, marks);
  }

  glyph({ id, kind, action }, time, tone) {
    const quiet = kind === "refused" || action === "HOLD";
    const sides = { BUY: tone.up, SELL: tone.down };
    return {
      id, time,
      position: action === "BUY" ? "belowBar" : "aboveBar",
      shape: quiet ? "circle" : SHAPES[action] ?? "square",
      color: quiet ? tone.muted : sides[action] ?? tone.text,
      size: quiet ? 0.5 : 1.2,
    };
  }

  setLines(lines) {
    const tone = colours();
    const tones = { entry: tone.info, stop: tone.down, target: tone.up };
    const wanted = new Map(lines.map((line) => [line.id, line]));
    for (const [id, line] of this.lines) {
      if (!wanted.has(id)) {
        this.candles.removePriceLine(line);
        this.lines.delete(id);
      }
    }
    for (const line of lines) {
      const options = { price: line.price, color: tones[line.kind], lineWidth: 1, lineStyle: line.kind === "entry" ? LineStyle.Solid : LineStyle.Dashed, axisLabelVisible: true, title: line.text };
      const known = this.lines.get(line.id);
      if (known) known.applyOptions(options);
      else this.lines.set(line.id, this.candles.createPriceLine(options));
    }
    this.lineUrls = lines;
    this.makeRoom(roomFor(lines.map((line) => line.text), this.element.clientWidth, tone));
  }

  makeRoom(room) {
    const scale = this.chart.timeScale();
    // Who looks at the past is not moved.
    if (room === this.room || scale.scrollPosition() < 0) return;
    this.room = room;
    scale.applyOptions({ rightOffsetPixels: room });
  }

  hover(move) {
    const marker = this.marks.get(move.hoveredObjectId);
    const beside = marker ? this.at.get(this.barOfMark(marker)) ?? [marker] : [];
    this.card.show(beside.map(({ text }) => text), move.point);
    this.element.classList.toggle("pointing", Boolean(marker));
    this.hovered = marker;
  }

  open(event) {
    if (this.hovered) {
      location.href = this.hovered.url;
      return;
    }
    const y = event.clientY - this.element.getBoundingClientRect().top;
    const near = this.lineUrls.find((line) => Math.abs((this.candles.priceToCoordinate(line.price) ?? -99) - y) < 4);
    if (near) location.href = near.url;
  }
}

for (const element of document.querySelectorAll("[data-chart]")) {
  element.chart = new PriceChart(element);
  element.chart.start();
}
