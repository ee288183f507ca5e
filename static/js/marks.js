// Marks on a price chart: a glyph for a decision, a short line at its price for a fill, and a card that tells of both.

const TICK_WIDTH = 11;
const REACH = 5; // pixels beside a tick that still point at it
const GAP = 12; // pixels between the pointer and the card

// What stands at the chart's right edge must be seen, unless the candles would shrink to a line for it.
const FURTHEST = 4;

// A primitive of lightweight-charts: fills are {id, time (that of a candle), price, colour}.
export class FillTicks {
  constructor() {
    this.fills = [];
    this.view = { zOrder: () => "top", renderer: () => this };
  }

  attached({ chart, series, requestUpdate }) {
    Object.assign(this, { chart, series, requestUpdate });
  }

  paneViews() {
    return [this.view];
  }

  set(fills, halo) {
    this.fills = fills;
    this.halo = halo;
    this.requestUpdate?.();
  }

  place({ time, price }) {
    const x = this.chart.timeScale().timeToCoordinate(time);
    const y = this.series.priceToCoordinate(price);
    return x === null || y === null ? null : { x, y };
  }

  draw(target) {
    target.useBitmapCoordinateSpace(({ context, horizontalPixelRatio: wide, verticalPixelRatio: high }) => {
      const stroke = (x, y, colour, width, height) => {
        context.fillStyle = colour;
        context.fillRect(Math.round((x - width / 2) * wide), Math.round((y - height / 2) * high), Math.round(width * wide), Math.round(height * high));
      };
      for (const fill of this.fills) {
        const at = this.place(fill);
        if (!at) continue;
        stroke(at.x, at.y, this.halo, TICK_WIDTH + 2, 5);
        stroke(at.x, at.y, fill.colour, TICK_WIDTH, 3);
      }
    });
  }

  hitTest(x, y) {
    const hit = this.fills.findLast((fill) => {
      const at = this.place(fill);
      return at && Math.abs(at.x - x) <= TICK_WIDTH / 2 + 2 && Math.abs(at.y - y) <= REACH;
    });
    return hit ? { externalId: hit.id, zOrder: "top", cursorStyle: "pointer" } : null;
  }
}

// A card beside the pointer, one line for each text; inside the chart, whatever corner is pointed at.
export class Card {
  constructor(element) {
    this.chart = element;
    this.box = document.createElement("div");
    this.box.className = "chart-card";
    this.box.hidden = true;
    element.append(this.box);
  }

  show(texts, point) {
    this.box.hidden = !texts.length || !point;
    if (this.box.hidden) return;
    this.box.replaceChildren(...texts.map((text) => Object.assign(document.createElement("p"), { textContent: text })));
    const { clientWidth: width, clientHeight: height } = this.chart;
    const left = point.x + GAP + this.box.offsetWidth > width ? point.x - GAP - this.box.offsetWidth : point.x + GAP;
    const top = point.y + GAP + this.box.offsetHeight > height ? point.y - GAP - this.box.offsetHeight : point.y + GAP;
    this.box.style.left = `${Math.max(4, left)}px`;
    this.box.style.top = `${Math.max(4, top)}px`;
  }
}

// For `autoscaleInfoProvider`: the scale of the candles, widened to hold `prices()` as well.
export function holding(prices) {
  return (original) => {
    const info = original();
    if (!info?.priceRange) return info;
    const { minValue, maxValue } = info.priceRange;
    const room = (maxValue - minValue || Math.abs(maxValue) * 0.001) * FURTHEST;
    const near = prices().filter((price) => price > minValue - room && price < maxValue + room);
    return { ...info, priceRange: { minValue: Math.min(minValue, ...near), maxValue: Math.max(maxValue, ...near) } };
  };
}
