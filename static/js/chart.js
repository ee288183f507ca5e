// The price chart: candles with decisions, fills, entry, stop and target. Attributes of the element:
//   data-chart, data-symbol; optional data-timeframe, data-count, data-until (UTC seconds: nothing later is drawn),
//   data-topic "chart:SYMBOL" (live).
import {
  CandlestickSeries, HistogramSeries, LineStyle, createChart, createSeriesMarkers,
} from "../lightweight-charts/lightweight-charts.standalone.production.mjs";
import { Card, FillTicks, holding } from "./marks.js";
import { barAt, candleOptions, chartOptions, query, read } from "./price.js";
import { colours, onThemeChange } from "./theme.js";

const SHAPES = { BUY: "arrowUp", SELL: "arrowDown", CLOSE: "square", HOLD: "circle" };
const MAX_MARKERS = 600;

class PriceChart {
  constructor(element) {
    this.element = element;
    this.symbol = element.dataset.symbol;
    this.marks = new Map();
    this.lines = new Map();
    this.lineUrls = [];
    this.times = [];
    this.openMarks = [];
  }

  async start() {
    const { timeframe, count, until } = this.element.dataset;
    let data;
    try {
      data = await read(`/data/candles?${query({ symbol: this.symbol, timeframe, count, until })}`);
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
    const first = data.candles[0][0];
    const marks = await read(`/data/markers?${query({ symbol: this.symbol, start: first, end: until })}`).catch(() => null);
    if (marks) this.setMarks(marks.markers, until ? [] : marks.lines);
    this.element.addEventListener("desk:data", (event) => this.update(event.detail));
    this.element.addEventListener("click", (event) => this.open(event));
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
      this.chart.applyOptions(chartOptions(colours(), this.data.timeframe));
      this.candles.applyOptions(candleOptions(colours(), this.data));
      this.setCandles(this.rows);
      this.redrawMarks();
    });
  }

  setCandles(rows) {
    const tone = colours();
    this.rows = rows;
    this.times = rows.map((row) => row[0]);
    this.candles.setData(rows.map(([time, open, high, low, close]) => ({ time, open, high, low, close })));
    this.volume.setData(rows.map(([time, open, , , close, value]) => ({ time, value, color: `${close >= open ? tone.up : tone.down}44` })));
  }

  update(fresh) {
    if (fresh.timeframe !== this.data.timeframe || (fresh.as_of ?? 0) + fresh.timeframe * 2 < this.times.at(-1)) {
      // The market moved to other candles (a replay began or ended): draw anew.
      location.reload();
      return;
    }
    const tone = colours();
    const last = this.times.at(-1);
    for (const row of fresh.candles) {
      const [time, open, high, low, close, volume] = row;
      if (time < last) continue;
      this.candles.update({ time, open, high, low, close });
      this.volume.update({ time, value: volume, color: `${close >= open ? tone.up : tone.down}44` });
      if (time > this.times.at(-1)) {
        this.times.push(time);
        this.rows.push(row);
      } else this.rows[this.rows.length - 1] = row;
    }
    const price = document.getElementById("chart-price");
    const close = this.rows.at(-1)?.[4];
    if (price && close !== undefined) {
      price.textContent = close.toLocaleString("en-GB", { minimumFractionDigits: this.data.precision, maximumFractionDigits: this.data.precision });
    }
    this.setMarks(fresh.markers, fresh.lines);
  }

  setMarks(markers, lines) {
    let changed = false;
    for (const marker of markers) {
      if (this.marks.has(marker.id)) continue;
      this.marks.set(marker.id, marker);
      changed = true;
    }
    while (this.marks.size > MAX_MARKERS) this.marks.delete(this.marks.keys().next().value);
    this.redrawMarks(changed);
    if (lines) this.setLines(lines);
  }

  redrawMarks() {
    const tone = colours();
    const [glyphs, ticks] = [[], []];
    this.at = new Map();
    for (const marker of this.marks.values()) {
      const time = barAt(this.times, marker.time);
      if (time === undefined) continue;
      this.at.set(time, [...this.at.get(time) ?? [], marker]);
      if (marker.kind === "fill") ticks.push({ id: marker.id, time, price: marker.price, colour: tone.info });
      else glyphs.push(this.glyph(marker, time, tone));
    }
    glyphs.sort((one, other) => one.time - other.time);
    this.drawn.setMarkers(glyphs);
    this.ticks.set(ticks, tone.panel);
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
  }

  hover(move) {
    const marker = this.marks.get(move.hoveredObjectId);
    const beside = marker ? this.at.get(barAt(this.times, marker.time)) ?? [marker] : [];
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

for (const element of document.querySelectorAll("[data-chart]")) new PriceChart(element).start();
