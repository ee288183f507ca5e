// What all price charts share: reading their data, the look of chart and candles, and which candle a time falls into.
import { ColorType, CrosshairMode } from "../lightweight-charts/lightweight-charts.standalone.production.mjs";

export function query(values) {
  const found = Object.entries(values).filter(([, value]) => value !== undefined && value !== "");
  return new URLSearchParams(found).toString();
}

export async function read(address) {
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`the desk answered ${answer.status}`);
  return answer.json();
}

// Pixels right of the newest candle at least, and beside a title that stands there.
const LEAST_ROOM = 36;
const PADDING = 24;
const ruler = document.createElement("canvas").getContext("2d");

// `timeframe` is in seconds; `room` in pixels.
export function chartOptions(tone, timeframe = 1, room = LEAST_ROOM) {
  return {
    autoSize: true,
    layout: { background: { type: ColorType.Solid, color: tone.panel }, textColor: tone.muted, fontFamily: tone.font, fontSize: 12, attributionLogo: false },
    grid: { vertLines: { color: tone.grid }, horzLines: { color: tone.grid } },
    crosshair: { mode: CrosshairMode.Normal },
    rightPriceScale: { borderColor: tone.line },
    timeScale: { borderColor: tone.line, timeVisible: true, secondsVisible: timeframe < 60, rightOffsetPixels: room, minBarSpacing: 1 },
    localization: { locale: "en-GB" },
  };
}

// Prices on axes, lines and cards as everywhere else on the page: 1,234.50.
export function priceFormat({ precision, tick }) {
  const digits = { minimumFractionDigits: precision, maximumFractionDigits: precision };
  return { type: "custom", minMove: tick, formatter: (price) => price.toLocaleString("en-GB", digits) };
}

// Pixels right of the newest candle, so that the titles of lines, which stand there, lie on none.
export function roomFor(titles, width, { font }) {
  ruler.font = `12px ${font}`;
  const widest = Math.max(0, ...titles.map((title) => ruler.measureText(title).width));
  return Math.round(Math.min(Math.max(LEAST_ROOM, widest + PADDING), width / 3));
}

// Rising candles are hollow: without colour they still differ from falling ones.
export function candleOptions(tone, format) {
  return {
    upColor: tone.panel, downColor: tone.down, wickUpColor: tone.up, wickDownColor: tone.down,
    borderVisible: true, borderUpColor: tone.up, borderDownColor: tone.down,
    // Its own line and label would have the colour of a body, which is that of the ground where a candle is hollow.
    priceLineVisible: false, lastValueVisible: false,
    priceFormat: priceFormat(format),
  };
}
