// The tokens of the style sheet for what draws on a canvas, and a call when the theme changes.

// A custom property that holds light-dark() reads as it was written: only a colour that is in use is resolved.
// As #rrggbb, because a canvas wants no var(), and whoever wants it fainter appends an alpha.
function resolver() {
  const probe = document.createElement("i");
  document.body.append(probe);
  const style = getComputedStyle(probe);
  const colour = (name) => {
    probe.style.color = `var(--${name})`;
    const parts = style.color.match(/\d+/g).slice(0, 3);
    return `#${parts.map((part) => Number(part).toString(16).padStart(2, "0")).join("")}`;
  };
  return { colour, done: () => probe.remove() };
}

export function colours() {
  const { colour, done } = resolver();
  const tones = {
    panel: colour("panel"),
    line: colour("line"),
    grid: colour("raised"),
    muted: colour("muted"),
    text: colour("text"),
    up: colour("up"),
    down: colour("down"),
    info: colour("info"),
    alarm: colour("alarm"),
    font: getComputedStyle(document.documentElement).getPropertyValue("--font").trim(),
  };
  done();
  return tones;
}

export function onThemeChange(call) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", call);
}
