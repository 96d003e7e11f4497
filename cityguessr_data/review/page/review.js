// The review page: keys and buttons do the same; what they come to is made by the server and swapped in here.
import { drawing, fit } from "./draw.js";
import { looking } from "./look.js";
import { digits, wouldLose } from "./boxes.js";
import { claim, tab } from "./tab.js";

const shown = document.getElementById("shown");
const said = document.getElementById("said");
const dialogs = { drop: document.getElementById("drop"), help: document.getElementById("help") };
let page;          // <main> as it is now; its data say which clip, frame and state this is
let pen = null;    // draws on the frame that is shown
let look = null;   // hides the boxes and zooms
let selected = null;
let asking = null;  // the boxes that the next r rejects: it was asked for all at once, and is asked back
const typed = digits();  // a box's number, while it is typed
let busy = false;  // while an answer is awaited, keys do nothing: nobody decides on what they have not seen
let ahead = null;  // the next clip's frame, fetched in advance

function say(text, warn = false) {
  said.textContent = text;
  said.classList.toggle("warn", warn);
}

async function ask(path, wish) {
  if (busy) return;
  busy = true;
  document.body.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(path, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ tab, ...wish }),
    });
    const told = answer.headers.get("content-type")?.startsWith("application/json") ? await answer.json() : {};
    if (told.html !== undefined) swap(told);
    if (answer.ok || told.said) say(told.said ?? "", !answer.ok);
    else say("This server does not know this browser any more: open the link that `cgtool review` printed.", true);
    return answer.ok ? told : undefined;
  } catch {
    say("The server has stopped. What it confirmed is saved; start `cgtool review` again.", true);
  } finally {
    busy = false;
    document.body.removeAttribute("aria-busy");
  }
}

function swap({ html, address, title }) {
  const focus = document.activeElement?.dataset?.do;
  shown.innerHTML = html;  // made by our templates, which escape
  document.title = title;
  const now = location.pathname + location.search;
  if (now === "/") history.replaceState(null, "", address);
  else if (now !== address) history.pushState(null, "", address);
  settle();
  if (focus) page.querySelector(`[data-do="${focus}"]`)?.focus({ preventScroll: true });
}

// Make what was swapped in ready to use.
function settle() {
  const before = page?.dataset.address, zoomed = look?.zoomed;
  page = shown.querySelector("main");
  pen = look = selected = asking = null;
  const svg = page.querySelector("svg.boxes");
  if (!svg) return;
  fit(svg);
  look = looking(svg);
  if (zoomed && before === page.dataset.address) look.at(...zoomed);  // a decision moves nothing
  lookButtons();
  pen = drawing(svg, {
    keep: (rect) => { penButtons(false); decide("draw", { rect }); },
    leave: () => penButtons(false),
    say,
  });
  picture().addEventListener("error", brokenFrame, { once: true });
  if (page.dataset.ahead) {
    ahead = new Image();
    ahead.src = page.dataset.ahead;
  }
}

const picture = () => page.querySelector(".stage img");

// The source could not be decoded after all: the server shows the saved frame from now on, and says why.
let mended = "";
function brokenFrame() {
  if (mended === page.dataset.address) return say("This frame cannot be shown.", true);
  mended = page.dataset.address;
  show({ clip: page.dataset.clip, frame: Number(page.dataset.frame) });
}

const show = (wish) => ask("/show", { view: page.dataset.view === "label" ? "label" : "clip", ...wish });

function decide(action, more = {}) {
  if (!page.dataset.clip) return;
  const { clip, frame, seen } = page.dataset;
  return ask("/decide", { clip, frame: Number(frame), seen: Number(seen), action, ...more });
}

// What holds already is taken back by the same key, whoever decided it.
const holds = (action) => page.querySelector(`[data-do="${action}"]`)?.getAttribute("aria-pressed") === "true";
const toggle = (action) => decide(action, { take_back: holds(action) });

const chosen = () => (selected === null ? [] : [selected]);
const listed = () => [...page.querySelectorAll(".box-list button")];

// One key is never to unblur all of a frame: the first r says what it would do, the second does it.
function askToReject() {
  const lose = wouldLose(listed());
  if (!lose.boxes.length) return decide("reject", { boxes: [] });  // the server says what is amiss
  asking = lose.boxes;
  say(lose.sentence, true);
  rejectButton(lose.button);
}

function rejectButton(words) {
  const button = page.querySelector('[data-do="reject"]');
  if (button) button.lastChild.textContent = words;
}

function forget() {
  if (!asking) return;
  asking = null;
  rejectButton("Reject");
  say("Nothing was rejected.");
}

function lookButtons() {
  page.querySelector('[data-do="zoom"]').setAttribute("aria-pressed", look.zoomed ? "true" : "false");
  page.querySelector('[data-do="hide"]').setAttribute("aria-pressed", look.bare ? "true" : "false");
}

function whole() {
  look.whole();
  lookButtons();
}

function digit(key) {
  const number = typed.add(key, listed().length, performance.now());
  if (number) select(number - 1);
}

function select(index) {
  forget();
  const list = listed();
  selected = index !== null && index < list.length ? index : null;
  list.forEach((button, n) => button.setAttribute("aria-current", n === selected ? "true" : "false"));
  page.querySelectorAll(".box").forEach((box, n) => box.classList.toggle("selected", n === selected));
  if (selected === null) return;
  if (look.zoomed) look.to(selected);
  look.bare = false;
  lookButtons();
  say(`Selected ${list[selected].getAttribute("aria-label")}.`);
}

function penButtons(on) {
  page.querySelector(".pen-actions").hidden = !on;
}

const label = (action, value) =>
  decide(action, { value, all_of_video: document.getElementById("all-of-video")?.checked ?? false });

function mark(name) {
  const button = page.querySelector(`[data-mark="${name}"]`);
  if (button) label(button.getAttribute("aria-pressed") === "true" ? "unmark" : "mark", name);
}

function toFrame(number) {
  if (number === "" || number === undefined) return say("There is no other frame that way.");
  show({ clip: page.dataset.clip, frame: Number(number) });
}

const beside = (step) => page.dataset.clip && show({ clip: page.dataset.clip, step });

const actions = {
  accept() {
    if (!picture()?.naturalWidth) return say("The frame is not there yet.", true);
    toggle("accept");
  },
  reject() {
    const boxes = selected === null ? asking : chosen();
    if (!boxes) return askToReject();
    forget();
    return decide("reject", { boxes });
  },
  blur: () => decide("blur", { boxes: chosen() }),
  draw() {
    if (!pen) return;
    select(null);
    penButtons(true);
    pen.begin();
    page.querySelector(".stage").scrollIntoView({ block: "nearest" });
  },
  "pen-keep": () => pen?.keep(),
  "pen-leave": () => pen?.leave(),
  zoom() {
    if (look.zoomed) return whole();
    look.to(selected);
    lookButtons();
  },
  hide() {
    look.bare = !look.bare;
    lookButtons();
    say(look.bare ? "The boxes are hidden; h shows them again." : "");
  },
  "every-frame": () => toggle("every-frame"),
  drop: () => (holds("drop") ? toggle("drop") : dialogs.drop.showModal()),
  "drop-now"() { dialogs.drop.close(); decide("drop"); },
  undo: () => ask("/undo", {}),
  label() {
    if (page.dataset.clip) show({ clip: page.dataset.clip, view: page.dataset.view === "label" ? "clip" : "label" });
  },
  doubt: () => toFrame(page.querySelector('[data-do="doubt"]').dataset.frame),
  "frame-left": () => toFrame(page.dataset.left),
  "frame-right": () => toFrame(page.dataset.right),
  "clip-up": () => beside(-1),
  "clip-down": () => beside(1),
  waiting: () => ask("/show", {}),
  help: () => dialogs.help.showModal(),
  close() { for (const dialog of Object.values(dialogs)) dialog.close(); },
};

const keys = {
  clip: {
    a: "accept", r: "reject", b: "blur", d: "draw", e: "every-frame", x: "drop", u: "undo", l: "label", "?": "help",
    z: "zoom", h: "hide", ArrowLeft: "frame-left", ArrowRight: "frame-right", ArrowUp: "clip-up", ArrowDown: "clip-down",
  },
  label: { u: "undo", l: "label", Escape: "label", "?": "help", ArrowUp: "clip-up", ArrowDown: "clip-down" },
  done: { u: "undo", "?": "help" },
};
const marks = { i: "indoor", m: "montage", t: "title-card" };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (dialogs.drop.open) {
    if (event.key === "x" && !event.repeat) { event.preventDefault(); actions["drop-now"](); }
    return;
  }
  const writes = event.target.matches("input, textarea, select") && event.target.type !== "checkbox";
  if (dialogs.help.open || writes || !page) return;
  if (pen?.key(event)) return;
  if (pen?.active) return;  // first keep the box or leave it
  const { view } = page.dataset;
  if (view === "clip" && event.key === "Escape") return asking ? forget() : look.zoomed ? whole() : select(null);
  if (!["r", "Enter", " "].includes(event.key)) forget();  // Enter and space press a button
  if (view === "clip" && /^[0-9]$/.test(event.key)) return event.repeat ? undefined : digit(event.key);
  typed.clear();
  if (view === "label" && marks[event.key] && !event.repeat) return mark(marks[event.key]);
  const action = keys[view]?.[event.key];
  if (!action || (event.repeat && !event.key.startsWith("Arrow"))) return;
  event.preventDefault();
  actions[action]();
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  const box = event.target.closest("g.box, .box-list button");
  if (box) return select(Number(box.dataset.box));
  if (button?.dataset.do !== "reject") forget();
  if (button?.dataset.mark) return mark(button.dataset.mark);
  if (button?.dataset.do && button.getAttribute("aria-disabled") !== "true") actions[button.dataset.do]();
});

shown.addEventListener("dblclick", (event) => {
  if (!look || pen.active || !event.target.closest(".stage")) return;
  const box = event.target.closest("g.box");
  if (look.zoomed) look.whole();
  else if (box) look.to(Number(box.dataset.box));
  else look.under(event);
  lookButtons();
});

// A box of the list that is pointed at tells its number in the frame too.
shown.addEventListener("pointerover", (event) => {
  look?.point(Number(event.target.closest(".box-list button")?.dataset.box ?? -1));
});

shown.addEventListener("focusin", (event) => {
  const button = event.target.closest(".box-list button");
  if (button) select(Number(button.dataset.box));
});

document.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (event.target.id === "city") return label("label", event.target.querySelector("input").value);
  const reviewer = event.target.querySelector("input").value;
  const told = await ask("/invite", { reviewer });
  if (told) event.target.querySelector("output").textContent = told.link;
});

// A tab that is closed gives its clip back; one that is reloaded asks for it again.
addEventListener("pagehide", () => {
  navigator.sendBeacon("/leave", new Blob([JSON.stringify({ tab })], { type: "application/json" }));
});

addEventListener("popstate", () => location.reload());

claim();
settle();
if (page.dataset.view === "start") ask("/show", {});
else if (page.dataset.clip) show({ clip: page.dataset.clip, frame: Number(page.dataset.frame) });
document.documentElement.dataset.ready = "";
