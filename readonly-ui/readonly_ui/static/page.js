"use strict";
// The page works without this file; with it, it follows what happens. It only ever sends GET.

const main = document.getElementById("main");
const offline = document.getElementById("offline");
const MOST_LINES = 5000;
document.documentElement.classList.add("js");

// --- what the server can't know: the reader's time zone and what stands in the filter ---

function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const date = new Date(time.dateTime);
    time.title = date.toLocaleString();
    if ("clock" in time.dataset) time.textContent = date.toLocaleTimeString("en-GB");
  }
}

function prepare(root) {
  localise(root);
  const filter = document.getElementById("filter");
  if (filter) applyFilter(root, filter.value);
}

function applyFilter(root, query) {
  const words = query.toLowerCase().split(/\s+/);
  const rows = [...root.querySelectorAll("[data-text]")];
  for (const row of rows) row.hidden = !words.every((word) => row.dataset.text.includes(word));
  const none = root.querySelector("#no-match");
  if (none) none.hidden = rows.some((row) => !row.hidden);
}

// --- replacing only what changed keeps scroll, focus, selection and opened details;
// --- elements with an id keep their identity, those with data-keep their content ---

function morph(old, now) {
  if (old.nodeType !== now.nodeType || old.nodeName !== now.nodeName || old.id !== now.id) return old.replaceWith(now);
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== now.nodeValue) old.nodeValue = now.nodeValue;
    return;
  }
  if ("keep" in now.dataset) return;
  for (const { name, value } of [...now.attributes]) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes]) if (name !== "open" && !now.hasAttribute(name)) old.removeAttribute(name);
  let place = old.firstChild;
  for (const child of [...now.childNodes]) {
    const same = child.id && [...old.children].find((one) => one.id === child.id);
    if (same && same !== place) old.insertBefore(same, place);
    if (same) place = same;
    if (place && (place.id || "") === (child.id || "")) {
      const next = place.nextSibling;
      morph(place, child);
      place = next;
    } else old.insertBefore(child, place);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

async function ask(kept) {
  const response = await fetch(location.pathname + location.search, { headers: { "X-Fragment": kept ? kept.id : "main" } });
  const now = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("main");
  if (!now) throw new Error(`the server answered ${response.status}`);
  prepare(now);
  return now;
}

async function refresh() {
  const now = await ask(main.querySelector(".log:has(.lines)")); // its lines are here; "follow" asks for new ones
  morph(main, now);
  document.title = main.dataset.title;
}

// --- the log: ask for what follows the last byte we have ---

async function follow(lines) {
  if ("ended" in lines.dataset) return;
  const response = await fetch(`${lines.dataset.log}?offset=${lines.dataset.next}`);
  if (!response.ok) return;
  const page = await response.json();
  const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 40;
  for (const line of page.lines) lines.append(entry(line));
  if (atEnd) {
    while (lines.children.length > MOST_LINES) lines.firstElementChild.remove();
    lines.scrollTop = lines.scrollHeight;
  }
  lines.dataset.next = page.next_offset;
  if (page.ended) lines.dataset.ended = "";
}

function entry({ t, s, l }) {
  const item = document.createElement("li");
  const time = document.createElement("time");
  const text = document.createElement("span");
  time.dateTime = t;
  time.dataset.clock = "";
  if (s !== "stdout") {
    item.className = s === "stderr" ? "stderr" : "remark";
    text.append(Object.assign(document.createElement("b"), { textContent: s }), " ");
  }
  text.append(l);
  item.append(time, text);
  localise(item);
  return item;
}

async function earlier(link) {
  history.replaceState(null, "", link.href);
  const now = await ask();
  const log = link.closest(".log");
  const lines = log.querySelector(".lines");
  const below = lines.scrollHeight - lines.scrollTop;
  const longer = now.querySelector(`#${log.id}`);
  log.replaceWith(longer);
  const fresh = longer.querySelector(".lines");
  if (fresh) fresh.scrollTop = fresh.scrollHeight - below;
}

const scrollToEnd = () => main.querySelectorAll(".lines").forEach((lines) => (lines.scrollTop = lines.scrollHeight));

// --- the loop: one round at a time, none while nobody looks ---

let since = null;
let busy = false;
async function round() {
  if (document.hidden || busy) return;
  busy = true;
  try {
    await refresh();
    for (const lines of main.querySelectorAll("[data-log]")) await follow(lines);
    since = null;
  } catch {
    since ??= new Date().toLocaleTimeString("en-GB");
    offline.textContent = `This page can't reach its server since ${since}. It shows what was known then and keeps trying.`;
  }
  offline.hidden = !since;
  busy = false;
}

async function loop() {
  await round();
  setTimeout(loop, 1000 * Number(main.dataset.refresh));
}

document.addEventListener("visibilitychange", round);
document.addEventListener("input", (event) => {
  if (event.target.id !== "filter") return;
  applyFilter(main, event.target.value);
  const query = event.target.value ? `?filter=${encodeURIComponent(event.target.value)}` : location.pathname;
  history.replaceState(null, "", query);
});
document.addEventListener("click", async (event) => {
  const link = event.target.closest("[data-earlier]");
  if (link) return event.preventDefault(), earlier(link);
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  getSelection().selectAllChildren(source); // shows what was copied, and serves pages without https
  if (navigator.clipboard) await navigator.clipboard.writeText(source.textContent).catch(() => {});
  else document.execCommand("copy");
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 2000);
});

prepare(document);
scrollToEnd();
setTimeout(loop, 1000 * Number(main.dataset.refresh));
