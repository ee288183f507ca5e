// What a model said, on the price: an arrow for the side, its size for the probability, its colour and sign for what
// came of it. Attributes of the element: data-predictions, data-version, data-symbol, data-topic (live).
import { CandlestickSeries, createChart, createSeriesMarkers } from "../lightweight-charts/lightweight-charts.standalone.production.mjs";
import { onReturn } from "./live.js";
import { Card } from "./marks.js";
import { candleOptions, chartOptions, query, read } from "./price.js";
import { barOf, holesText, isBehind, withHoles } from "./series.js";
import { colours, onThemeChange } from "./theme.js";

const SIDES = {
  peak: { position: "aboveBar", shape: "arrowDown", words: "peak" },
  trough: { position: "belowBar", shape: "arrowUp", words: "trough" },
};
const ENDS = {
  yes: { tone: "up", sign: "✓", words: "came true" },
  no: { tone: "muted", sign: "✕", words: "did not come true" },
  open: { tone: "info", sign: "", words: "not known yet" },
  void: { tone: "muted", sign: "", words: "can't be known: candles are missing" },
};
const [SMALLEST, LARGEST] = [0.4, 1.8];
// Signs beside arrows are readable only while there are few.
const MOST_SIGNS = 60;

class ModelChart {
  constructor(element) {
    this.element = element;
    this.said = new Map();
  }

  read() {
    const { version, symbol } = this.element.dataset;
    return read(`/data/predictions?${query({ version, symbol })}`);
  }

  // Everything anew: what the socket brings is only the end of it.
  async reload() {
    const data = await this.read().catch(() => null);
    if (data?.candles.length) this.show(data);
  }

  async start() {
    try {
      this.data = await this.read();
    } catch (error) {
      this.note(`The candles could not be loaded: ${error.message}. Reload the page to try again.`);
      return;
    }
    if (!this.data.candles.length) {
      this.note("No candles of this time are stored.");
      return;
    }
    this.draw();
    this.show(this.data);
    this.element.addEventListener("desk:data", (event) => this.update(event.detail));
    onReturn(() => this.reload());
  }

  note(text) {
    this.element.querySelector(".chart-note").textContent = text;
  }

  draw() {
    this.element.querySelector(".chart-note").remove();
    this.chart = createChart(this.element, chartOptions(colours(), this.data.timeframe));
    this.candles = this.chart.addSeries(CandlestickSeries, candleOptions(colours(), this.data));
    this.marks = createSeriesMarkers(this.candles, []);
    const card = new Card(this.element);
    this.chart.subscribeCrosshairMove((move) => {
      const said = this.said.get(move.hoveredObjectId);
      card.show(said ? [said.text] : [], move.point);
    });
    onThemeChange(() => {
      this.chart.applyOptions(chartOptions(colours(), this.data.timeframe));
      this.candles.applyOptions(candleOptions(colours(), this.data));
      this.mark();
    });
  }

  show({ candles, predictions }) {
    this.rows = candles;
    this.times = candles.map(([time]) => time);
    const { drawn, missing } = withHoles(candles, this.data.timeframe);
    this.missing = missing;
    this.candles.setData(drawn.map(bar));
    this.add(predictions);
  }

  update(fresh) {
    if (isBehind(this.times, fresh.candles, this.data.timeframe)) {
      this.reload();
      return;
    }
    const rows = new Map([...this.rows, ...fresh.candles].map((row) => [row[0], row]));
    this.show({ candles: [...rows.values()].sort((one, other) => one[0] - other[0]), predictions: fresh.predictions });
  }

  add(predictions) {
    for (const [time, probability, side, label] of predictions) {
      const text = `${SIDES[side].words}, ${Math.round(probability * 100)} %: ${ENDS[label].words}`;
      this.said.set(`p${time}`, { time, probability, side, label, text });
    }
    this.mark();
  }

  sayHoles(text) {
    const note = document.getElementById("chart-holes");
    if (note) note.textContent = text;
  }

  mark() {
    const tone = colours();
    const signs = this.said.size <= MOST_SIGNS;
    const drawn = [];
    let outside = 0;
    for (const [id, { time, probability, side, label }] of this.said) {
      const at = barOf(this.times, time, this.data.timeframe);
      if (at === undefined) {
        if (time >= this.times[0]) outside += 1;
        continue;
      }
      const { position, shape } = SIDES[side];
      drawn.push({
        id, time: at, position, shape, color: tone[ENDS[label].tone], text: signs ? ENDS[label].sign : "",
        size: SMALLEST + (LARGEST - SMALLEST) * probability,
      });
    }
    this.marks.setMarkers(drawn.sort((one, other) => one.time - other.time));
    this.sayHoles(holesText(this.missing, outside));
  }
}

function bar([time, open, high, low, close]) {
  return open === undefined ? { time } : { time, open, high, low, close };
}

for (const element of document.querySelectorAll("[data-predictions]")) new ModelChart(element).start();
