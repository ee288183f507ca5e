// Live regions: subscribes to the topics on the page, drops what is older than what is shown, holds what would move
// under the pointer, flashes what changed, and says so when the page is no longer current.
import { setClock, clockText, refreshAges } from "./times.js";

const HOLD_AT_MOST_MS = 60_000;
const SIGNED_OUT_CHECK_AFTER = 2;
const RECONNECT_MS = 400;
const CROWDED_RECONNECT_MS = 5000;
// Codes of htmx after which a socket is tried again, and our own.
const TRIED_AGAIN = [1001, 1005, 1006, 1011, 1012, 1013, 1014];
const TOO_MANY = 4429; // of one person's sockets: see dashboard/live/seats.py

const regions = new Map(); // topic → element
const versions = new Map(); // topic → version shown
const contents = new Map(); // topic → {version, rows}: what the next patch builds on
const held = new Map(); // topic → {message, since, count}
let epoch = "";
let failures = 0;
let crowded = false; // the desk sent this page off: the words stay until it is let in
let lastHeard = new Date();

for (const element of document.querySelectorAll("[data-topic]")) regions.set(element.dataset.topic, element);

const bar = document.getElementById("connection-state");

function say(text, link) {
  if (!bar) return;
  if (!text) {
    bar.classList.remove("shown");
    bar.replaceChildren();
    return;
  }
  bar.textContent = text;
  if (link) {
    const anchor = document.createElement("a");
    anchor.href = link.href;
    anchor.textContent = link.text;
    bar.append(" ", anchor);
  }
  bar.classList.add("shown");
}

function isHeld(region) {
  // Only lists that a person may be reading or aiming at; single figures go on changing.
  if (!region.querySelector("table, ol.stream, ul.list")) return false;
  const focused = document.activeElement;
  return region.matches(":hover") || Boolean(noticeOf(region)?.matches(":hover")) || (focused !== document.body && region.contains(focused));
}

// The button that says how much is held, if the region has one. Whoever points at it has not left the list.
function noticeOf(region) {
  const before = region.previousElementSibling;
  return before?.classList.contains("held") ? before : null;
}

function order(region) {
  return Array.from(region.querySelectorAll("tr[id], li[id]"), (row) => row.id);
}

function wouldMove(region, message) {
  const parsed = new DOMParser().parseFromString(message.content, "text/html");
  const now = order(region);
  const next = order(parsed);
  return next.length !== now.length || next.some((id, index) => id !== now[index]);
}

function notice(region, count) {
  let button = noticeOf(region);
  if (!button) {
    if (!count) return;
    button = document.createElement("button");
    button.type = "button";
    button.className = "held";
    button.addEventListener("click", () => release(region.dataset.topic, true));
    button.addEventListener("pointerleave", () => setTimeout(() => release(region.dataset.topic), 150));
    region.before(button);
  }
  button.textContent = `${count} new`;
  button.classList.toggle("shown", count > 0);
}

function newRows(region, content) {
  const parsed = new DOMParser().parseFromString(content, "text/html");
  const now = new Set(order(region));
  return Math.max(1, order(parsed).filter((id) => !now.has(id)).length);
}

function values(region) {
  return new Map(Array.from(region.querySelectorAll("[data-flash][id]"), (cell) => [cell.id, cell.textContent]));
}

function flash(region, before) {
  for (const [id, text] of values(region)) {
    if (!before.has(id) || before.get(id) === text) continue;
    const cell = document.getElementById(id);
    cell.classList.add("flash");
    cell.addEventListener("animationend", () => cell.classList.remove("flash"), { once: true });
    // Without animations the mark goes by itself.
    setTimeout(() => cell.classList.remove("flash"), 1500);
  }
}

function hold(region, message) {
  const topic = message.topic;
  const since = held.get(topic)?.since ?? Date.now();
  if (Date.now() - since > HOLD_AT_MOST_MS) return false;
  held.set(topic, { message, since });
  notice(region, newRows(region, message.content));
  return true;
}

async function release(topic, now = false) {
  const waiting = held.get(topic);
  const region = regions.get(topic);
  if (!waiting || (!now && isHeld(region))) return;
  held.delete(topic);
  notice(region, 0);
  const before = values(region);
  await htmx.swap({ sourceElement: region, target: region, swap: "innerMorph", text: waiting.message.content });
  settle(region, before);
}

function settle(region, before) {
  flash(region, before);
  refreshAges(region);
  region.dispatchEvent(new CustomEvent("desk:changed", { bubbles: true }));
}

function onState(message) {
  if (message.state === "live") say("");
  else say(`The database does not answer. You see data from ${clockText(message.since)}; nothing on this page is newer.`);
}

const befores = new Map();

function rowsOf(html) {
  return html.split(/(?=<(?:tr|li) id=")/).filter(Boolean);
}

// Turns a patch into the fragment it stands for; null when what it builds on is not here.
function unpatched(message) {
  const base = contents.get(message.topic);
  if (base?.version !== message.base) return null;
  const rows = message.parts.flatMap((part) => (typeof part === "string" ? [part] : base.rows.slice(part[0], part[1] + 1)));
  const { parts, ...rest } = message;
  return { ...rest, type: "fragment", content: rows.join("") };
}

function complete(event, message) {
  const whole = message.type === "patch" ? unpatched(message) : message;
  if (!whole) {
    // A patch for something we never had: start over with a snapshot.
    event.preventDefault();
    event.detail.connection.socket?.close();
    return null;
  }
  if (whole.type === "fragment") {
    contents.set(whole.topic, { version: whole.version, rows: rowsOf(whole.content) });
    if (whole !== message) event.detail.message.data = JSON.stringify(whole);
  }
  return whole;
}

function onIncoming(event) {
  let message;
  try {
    message = JSON.parse(event.detail.message.data);
  } catch {
    return;
  }
  lastHeard = new Date();
  message = complete(event, message);
  if (!message) return;
  if (message.type === "hello") {
    if (message.epoch !== epoch) versions.clear();
    contents.clear();
    epoch = message.epoch;
    if (crowded) letIn();
    setClock(message.now);
  } else if (message.type === "state") {
    onState(message);
  } else if (message.version <= (versions.get(message.topic) ?? 0)) {
    event.preventDefault();
  } else {
    versions.set(message.topic, message.version);
    const region = regions.get(message.topic);
    if (message.type === "data") {
      region?.dispatchEvent(new CustomEvent("desk:data", { detail: message.data }));
    } else if (!region) {
      event.preventDefault();
    } else if (isHeld(region) && wouldMove(region, message) && hold(region, message)) {
      event.preventDefault();
    } else {
      held.delete(message.topic);
      notice(region, 0);
      befores.set(message.topic, values(region));
    }
  }
}

function onSwapped(event) {
  let message;
  try {
    message = JSON.parse(event.detail.message.data);
  } catch {
    return;
  }
  const region = regions.get(message.topic);
  const before = befores.get(message.topic);
  if (message.type === "fragment" && region && before) {
    befores.delete(message.topic);
    settle(region, before);
  }
}

async function onClosed(event) {
  if (event.detail.reason === "removed" || document.hidden) return;
  failures += 1;
  const { config } = event.detail.connection;
  crowded = event.detail.code === TOO_MANY;
  config.reconnectDelay = crowded ? CROWDED_RECONNECT_MS : RECONNECT_MS;
  if (crowded) {
    say(`You have too many live pages open: close some. You see data from ${clockText(lastHeard)}; this page tries again.`);
    return;
  }
  say(`Reconnecting… You see data from ${clockText(lastHeard)}.`);
  if (event.detail.code === 4401 || event.detail.code === 4403 || failures > SIGNED_OUT_CHECK_AFTER) await checkSession();
}

async function checkSession() {
  try {
    const answer = await fetch("/data/session", { headers: { "HX-Request": "true" } });
    if (answer.status === 401) say("You are signed out.", { href: `/accounts/login/?next=${encodeURIComponent(location.pathname)}`, text: "Sign in again" });
    else if (answer.status === 403) say("Your account no longer has a role here. Ask an admin.");
  } catch {
    // The desk itself does not answer; the socket goes on trying.
  }
}

let opened = false;

function letIn() {
  crowded = false;
  opened = true;
  say("");
  document.dispatchEvent(new CustomEvent("desk:reconnected"));
}

function onOpen() {
  failures = 0;
  if (crowded) return;
  lastHeard = new Date();
  say("");
  // What was sent meanwhile never came: charts, which are sent only their end, read themselves anew.
  if (opened) document.dispatchEvent(new CustomEvent("desk:reconnected"));
  opened = true;
}

// Calls `load` whenever the page may have missed something: it was hidden, or its socket was away.
export function onReturn(load) {
  document.addEventListener("desk:reconnected", load);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) load();
  });
}

const owner = document.body;
owner.addEventListener("htmx:ws:before:message:incoming", onIncoming);
owner.addEventListener("htmx:ws:after:message:incoming", onSwapped);
owner.addEventListener("htmx:ws:after:connection", onOpen);
owner.addEventListener("htmx:ws:close", onClosed);

for (const [topic, region] of regions) {
  region.addEventListener("pointerleave", () => setTimeout(() => release(topic), 150));
  region.addEventListener("focusout", () => setTimeout(() => release(topic), 150));
}

if (regions.size) {
  const topics = Array.from(regions.keys()).sort().join(",");
  owner.setAttribute("hx-ws:connect", `/ws/desk/?topics=${encodeURIComponent(topics)}`);
  owner.setAttribute("hx-trigger", "load");
  const ws = { reconnectDelay: RECONNECT_MS, reconnectMaxDelay: 5000, reconnectCodes: [...TRIED_AGAIN, TOO_MANY] };
  owner.setAttribute("hx-config", JSON.stringify({ ws }));
  // htmx has looked at the page already; modules run later.
  htmx.process(owner);
}
