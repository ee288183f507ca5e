// Times: ages that keep counting, local time on hover, and one clock for all of it (the desk's, not the browser's).
let offset = 0; // milliseconds that the desk's clock is ahead of ours

export function setClock(iso) {
  offset = new Date(iso).getTime() - Date.now();
}

export function now() {
  return Date.now() + offset;
}

export function clockText(moment) {
  return `${new Date(moment).toISOString().slice(11, 19)} UTC`;
}

export function duration(seconds) {
  const total = Math.max(0, Math.floor(seconds));
  if (total < 90) return `${total} s`;
  if (total < 5400) return `${Math.floor(total / 60)} min`;
  if (total < 172800) {
    const minutes = Math.floor((total % 3600) / 60);
    return minutes ? `${Math.floor(total / 3600)} h ${minutes} min` : `${Math.floor(total / 3600)} h`;
  }
  return `${Math.floor(total / 86400)} d`;
}

export function refreshAges(root = document) {
  for (const element of root.querySelectorAll("time.age")) {
    const text = duration((now() - new Date(element.dateTime).getTime()) / 1000);
    if (element.firstChild && element.childNodes.length === 1 && element.firstChild.nodeType === Node.TEXT_NODE) {
      if (element.firstChild.nodeValue !== text) element.firstChild.nodeValue = text;
    } else element.textContent = text;
  }
}

const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

document.addEventListener("pointerover", (event) => {
  const element = event.target.closest?.("time[datetime]");
  if (element && !element.dataset.local) {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) return;
    element.dataset.local = "1";
    element.title = `${element.title}\n${local.format(moment)}`;
  }
});

setInterval(() => {
  if (!document.hidden) refreshAges();
}, 1000);
