// Keeps a page of the dashboard fresh. Everything works without it; what it adds is that nobody has to load a page again.

const MAX_LINES = 2000;
const LONGEST_PAUSE = 30_000;

const main = document.getElementById("main");
const liveness = document.getElementById("liveness");
const log = document.getElementById("log");

// Times that pass.

const coarse = (seconds) => {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
};

const fine = (seconds) => {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
};

const say = (node, text) => {
  if (node.textContent !== text) node.textContent = text;
};

function tellTimes() {
  if (document.hidden) return;
  const now = Date.now();
  for (const time of document.querySelectorAll("time[data-relative], time[data-elapsed]")) {
    const passed = Math.round((now - Date.parse(time.dateTime)) / 1000);
    if ("elapsed" in time.dataset) say(time, fine(Math.max(passed, 0)));
    else if (passed < 0) say(time, `in ${coarse(-passed)}`);
    else say(time, passed < 1 ? "just now" : `${coarse(passed)} ago`);
  }
}

// Fragments: what a reader has opened, ticked, scrolled to or is writing in stays.

const waiting = new Map();

function isInUse(fragment) {
  const active = document.activeElement;
  if (fragment.contains(active) && active.matches("input:not([type=checkbox]), select, textarea")) return true;
  const written = fragment.querySelectorAll("input:not([type=hidden], [type=checkbox]), textarea");
  if ([...written].some((input) => input.value !== input.defaultValue)) return true;
  const selection = document.getSelection();
  return Boolean(selection && !selection.isCollapsed && selection.containsNode(fragment, true));
}

// What names an element within its fragment, whatever else changes.
const nameOf = (element) =>
  element.id || element.getAttribute("href") || (element.value && `${element.name}=${element.value}`) ||
  element.getAttribute("aria-label") || element.textContent.trim();

// The place of a JSON value or another nameless detail: the numbers of its siblings, from the fragment down.
function placeOf(element, fragment) {
  if (element.id) return element.id;
  const steps = [];
  for (let it = element; it !== fragment && it.parentElement; it = it.parentElement) {
    steps.push([...it.parentElement.children].indexOf(it));
  }
  return steps.join(".");
}

function swap({ id, mark, html }) {
  const fragment = document.getElementById(id);
  if (!fragment || fragment.dataset.mark === mark) return;
  if (isInUse(fragment)) {
    waiting.set(id, { id, mark, html });
    return;
  }
  waiting.delete(id);
  const details = new Map([...fragment.querySelectorAll("details")].map((it) => [placeOf(it, fragment), it.open]));
  const ticked = new Set([...fragment.querySelectorAll("input[type=checkbox]:checked")].map(nameOf));
  const scrolled = new Map(
    [...fragment.querySelectorAll(".scroll, pre, .json")]
      .filter((it) => it.scrollLeft || it.scrollTop)
      .map((it) => [placeOf(it, fragment), [it.scrollLeft, it.scrollTop]]),
  );
  const focused = fragment.contains(document.activeElement) ? nameOf(document.activeElement) : "";
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  fragment.replaceChildren(fresh.content);
  fragment.dataset.mark = mark;
  for (const it of fragment.querySelectorAll("details")) {
    const open = details.get(placeOf(it, fragment));
    if (open !== undefined) it.open = open;
  }
  for (const it of fragment.querySelectorAll("input[type=checkbox]")) it.checked = ticked.has(nameOf(it));
  for (const it of fragment.querySelectorAll(".scroll, pre, .json")) {
    const place = scrolled.get(placeOf(it, fragment));
    if (place) [it.scrollLeft, it.scrollTop] = place;
  }
  if (focused) {
    const again = [...fragment.querySelectorAll("a, button, input, summary, [tabindex]")].find((it) => nameOf(it) === focused);
    again?.focus({ preventScroll: true });
  }
  tellTimes();
  countTicked();
}

const swapWaiting = () => {
  for (const fragment of [...waiting.values()]) swap(fragment);
};

// The log: grows at its end, is followed, searched and narrowed to a step, and never grows beyond what a page bears.

const followBox = document.getElementById("log-follow");
const searchBox = document.getElementById("log-search");
const stepBox = document.getElementById("log-step");

function showLine(line, needle, step) {
  const isHit = !needle || line.lastElementChild.textContent.toLowerCase().includes(needle);
  line.hidden = !isHit || Boolean(step && line.dataset.step !== step);
}

const narrowed = () => [searchBox.value.trim().toLowerCase(), stepBox.value];

function narrow() {
  const [needle, step] = narrowed();
  for (const line of log.children) showLine(line, needle, step);
  follow();
}

function follow() {
  if (followBox.checked) log.scrollTop = log.scrollHeight;
}

function append({ last, html }) {
  if (!log || last <= Number(log.dataset.last)) return;
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  const [needle, step] = narrowed();
  for (const line of [...fresh.content.children]) {
    if (document.getElementById(line.id)) {
      line.remove();
      continue;
    }
    showLine(line, needle, step);
    const from = line.dataset.step;
    if (from && ![...stepBox.options].some((option) => option.value === from)) stepBox.add(new Option(from, from));
  }
  const above = log.scrollHeight - log.scrollTop;
  log.append(fresh.content);
  let isCut = false;
  while (log.childElementCount > MAX_LINES) {
    // What stands between lines goes too, or it would pile up.
    log.firstChild.remove();
    isCut = true;
  }
  log.dataset.last = last;
  document.getElementById("log-empty").hidden = log.childElementCount > 0;
  if (followBox.checked) follow();
  else if (isCut) log.scrollTop = Math.max(0, log.scrollHeight - above);
}

if (log) {
  document.getElementById("log-tools").hidden = false;
  searchBox.addEventListener("input", narrow);
  // A step chosen on the server holds the end of its lines; the others are not here to be shown.
  const chosen = stepBox.value;
  stepBox.addEventListener("change", () => (chosen ? stepBox.form.submit() : narrow()));
  log.addEventListener("scroll", () => {
    followBox.checked = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  });
  followBox.addEventListener("change", follow);
  follow();
}

// The connection: open while somebody looks, and patient when it breaks.

let source = null;
let pause = 1000;
let timer = 0;
let isOver = false;

function tell(word, state) {
  if (!liveness) return;
  liveness.hidden = false;
  liveness.className = `liveness ${state}`;
  say(liveness, word);
}

function disconnect() {
  clearTimeout(timer);
  source?.close();
  source = null;
}

function connect() {
  disconnect();
  if (isOver || document.hidden || !main?.dataset.live) return;
  const url = new URL(main.dataset.live, location.href);
  if (log) url.searchParams.set("after", log.dataset.last);
  const it = new EventSource(url);
  source = it;
  it.addEventListener("open", () => {
    pause = 1000;
    tell("Live", "on");
  });
  it.addEventListener("fragment", (event) => swap(JSON.parse(event.data)));
  it.addEventListener("log", (event) => append(JSON.parse(event.data)));
  it.addEventListener("signed-out", () => {
    isOver = true;
    disconnect();
    tell("Signed out: reload the page", "off");
  });
  it.addEventListener("error", () => {
    if (source !== it) return;
    disconnect();
    tell("Reconnecting", "off");
    timer = setTimeout(connect, pause * (0.5 + Math.random()));
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  });
}

// A list: tick all of it, and see how many are ticked.

function countTicked() {
  const all = document.querySelector("[data-all]");
  if (!all) return;
  all.hidden = false;
  const boxes = [...document.querySelectorAll("input[name=run]")];
  const ticked = boxes.filter((box) => box.checked).length;
  all.checked = ticked > 0 && ticked === boxes.length;
  all.indeterminate = ticked > 0 && ticked < boxes.length;
  all.setAttribute("aria-label", "select all on this page");
  say(document.querySelector("[data-chosen]"), ticked ? `${ticked} selected:` : "Select all");
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-all]")) {
    for (const box of document.querySelectorAll("input[name=run]")) box.checked = event.target.checked;
  }
  if (event.target.matches("[data-all], input[name=run]")) countTicked();
});

// Keys, and what else a reader does.

document.addEventListener("keydown", (event) => {
  const isWriting = event.target.matches("input, select, textarea");
  if (event.key === "/" && !isWriting && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const box = searchBox ?? document.getElementById("q");
    if (!box) return;
    event.preventDefault();
    box.focus();
  }
  if (event.key === "Escape" && event.target === searchBox) {
    searchBox.value = "";
    narrow();
  }
});

for (const input of document.querySelectorAll("[data-select]")) {
  input.addEventListener("focus", () => input.select());
}

document.addEventListener("selectionchange", swapWaiting);
document.addEventListener("focusout", () => setTimeout(swapWaiting));
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    disconnect();
    if (!isOver) tell("Paused", "");
  } else {
    tellTimes();
    connect();
  }
});
// A page that is left keeps no connection, and one that is come back to has one.
addEventListener("pagehide", disconnect);
addEventListener("pageshow", (event) => {
  if (event.persisted) connect();
});

tellTimes();
countTicked();
setInterval(tellTimes, 1000);
connect();
