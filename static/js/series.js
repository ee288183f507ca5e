// Rows of candles `[time, …]`, oldest first: finding one, what is missing between them, and the axes around them. Nothing
// is drawn here.

// The time of the candle that `time` falls into, else of the last one before it.
export function barAt(times, time) {
  let low = 0;
  let high = times.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (times[middle] <= time) low = middle;
    else high = middle - 1;
  }
  return times[low] <= time ? times[low] : undefined;
}

// Missing candles that are left open at most: a hole of years would push everything else out of the drawing.
const MOST_MISSING = 2000;

// Rows `[time, …]` with `[time]` alone for each candle that is missing between them: a hole is drawn as one.
export function withHoles(rows, timeframe) {
  const drawn = [];
  let missing = 0;
  for (const row of rows) {
    const before = drawn.at(-1);
    if (before) {
      for (let time = before[0] + timeframe; time < row[0]; time += timeframe) {
        missing += 1;
        if (missing <= MOST_MISSING) drawn.push([time]);
      }
    }
    drawn.push(row);
  }
  return { drawn, missing };
}

// The candle that `time` lies in: the one that opened before it, unless that has ended and another was to follow.
export function barOf(times, time, timeframe) {
  const at = barAt(times, time);
  const isLast = at === times.at(-1);
  return at !== undefined && (isLast || time < at + timeframe) ? at : undefined;
}

// Whether candles between what is drawn and what is new were never sent: the socket was away for too long.
export function isBehind(times, rows, timeframe) {
  return Boolean(rows.length) && rows[0][0] > times.at(-1) + timeframe;
}

export function holesText(missing, marks = 0) {
  if (!missing) return "";
  const inside = marks ? ` ${marks} mark${marks === 1 ? "" : "s"} of that time can't be drawn.` : "";
  const open = missing > MOST_MISSING ? `, of which ${MOST_MISSING} are left open` : " and left open";
  return `${missing} candle${missing === 1 ? " is" : "s are"} missing here${open}.${inside}`;
}

// Points `[seconds, value]` as columns, with an empty value inside each hole `[from, to]`: no line crosses it.
export function withGaps(points, holes) {
  const after = new Map(holes);
  const rows = points.flatMap(([time, value]) => (after.has(time) ? [[time, value], [(time + after.get(time)) / 2, null]] : [[time, value]]));
  return [rows.map(([time]) => time), rows.map(([, value]) => value)];
}

const MOST_NAMED = 3;

export function gapsText(holes) {
  if (!holes.length) return "";
  const day = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 10);
  const clock = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 16);
  const dated = (seconds) => `${day(seconds)}\u00a0${clock(seconds)}`.replaceAll("-", "\u2011");
  const until = (from, to) => (day(from) === day(to) ? clock(to) : dated(to));
  const named = holes.slice(-MOST_NAMED).map(([from, to]) => `${dated(from)} to\u00a0${until(from, to)}`).join(", ");
  const earlier = holes.length - MOST_NAMED;
  const more = earlier > 0 ? `, and ${earlier} earlier stretch${earlier === 1 ? "" : "es"}` : "";
  return `No equity was marked from ${named} UTC${more}: left open.`;
}

// An axis shows a thousandth of the value at least: a constant gets a narrow band around it, and noise stays noise.
const LEAST_SHARE = 0.001;

// The ends of an axis around what is drawn, from `low` to `high`, with room above and below.
export function bandAround(low, high) {
  if (low === null || high === null) return [0, 1];
  const least = Math.max(Math.abs(low), Math.abs(high)) * LEAST_SHARE || 1;
  const span = high - low;
  const room = Math.max(span / 10, (least - span) / 2);
  return [low - room, high + room];
}

// How many digits after the point tell ticks that are `step` apart from each other.
export function digitsOf(step) {
  const [, fraction = ""] = step.toFixed(10).replace(/0+$/, "").split(".");
  return fraction.length;
}

// A tick of a time axis, UTC; `step` is in seconds. A tick at midnight says which day begins.
export function tickText(seconds, step) {
  const moment = new Date(seconds * 1000);
  const text = moment.toISOString();
  if (step >= 86_400 || seconds % 86_400 === 0) return moment.toLocaleDateString("en-GB", { day: "2-digit", month: "short", timeZone: "UTC" });
  return step >= 60 ? text.slice(11, 16) : text.slice(11, 19);
}
