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

// `timeframe` is in seconds.
export function chartOptions(tone, timeframe = 1) {
  return {
    autoSize: true,
    layout: { background: { type: ColorType.Solid, color: tone.panel }, textColor: tone.muted, fontFamily: tone.font, fontSize: 12, attributionLogo: false },
    grid: { vertLines: { color: tone.grid }, horzLines: { color: tone.grid } },
    crosshair: { mode: CrosshairMode.Normal },
    rightPriceScale: { borderColor: tone.line },
    timeScale: { borderColor: tone.line, timeVisible: true, secondsVisible: timeframe < 60, rightOffset: 6, minBarSpacing: 1 },
    localization: { locale: "en-GB" },
  };
}

// Rising candles are hollow: without colour they still differ from falling ones.
export function candleOptions(tone, { precision, tick }) {
  return {
    upColor: tone.panel, downColor: tone.down, wickUpColor: tone.up, wickDownColor: tone.down,
    borderVisible: true, borderUpColor: tone.up, borderDownColor: tone.down,
    priceFormat: { type: "price", precision, minMove: tick },
  };
}
