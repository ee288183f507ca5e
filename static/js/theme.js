// The tokens of the style sheet for what draws on a canvas, and a call when the theme changes.
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const token = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    panel: token("panel"),
    line: token("line"),
    grid: token("raised"),
    muted: token("muted"),
    text: token("text"),
    up: token("up"),
    down: token("down"),
    info: token("info"),
    alarm: token("alarm"),
    font: token("font"),
  };
}

export function onThemeChange(call) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", call);
}
