// The page of a sample: draw faces, finish the frame, see ours beside them. Every box is kept before it is shown.
import { drawing, fit } from "/static/draw.js";

const SVG = "http://www.w3.org/2000/svg";
const main = document.getElementById("sample");
const here = `/sample/${main.dataset.n}`;
const looked = main.dataset.looked === "1";
const svg = document.querySelector(".stage svg");
const picture = document.querySelector(".stage img");
const button = (name) => document.getElementById(name);
let busy = Promise.resolve();

fit(svg);

// Nobody draws in a picture, or calls it free of faces, before it is there whole.
function there() {
  if (looked || (picture.complete && picture.naturalWidth)) return true;
  say("The frame is not there yet.", true);
  return false;
}

function say(text, warn = false) {
  const said = document.getElementById("said");
  said.textContent = text;
  said.classList.toggle("warn", warn);
}

// The tab's name, for the table of decisions; a reload keeps it.
function tab() {
  let name = sessionStorage.getItem("tab");
  if (!name) {
    name = [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
    sessionStorage.setItem("tab", name);
  }
  return name;
}

async function ask(what, more = {}) {
  let answer;
  try {
    const headers = { "content-type": "application/json" };
    answer = await fetch(`${here}/${what}`, { method: "POST", headers, body: JSON.stringify({ tab: tab(), ...more }) });
  } catch {
    say("The server does not answer: is `cgtool review` still running? Nothing was kept.", true);
    return null;
  }
  if (answer.redirected || !(answer.headers.get("content-type") || "").startsWith("application/json")) {
    say("The server did not take it: open the link that `cgtool review` printed.", true);
    return null;
  }
  const told = await answer.json();
  say(told.said, !answer.ok);
  return answer.ok ? told : null;
}

// One after the other, in the order of the keys.
function then(job) {
  document.body.setAttribute("aria-busy", "true");
  const last = busy = busy.then(job, job).finally(() => {
    if (busy === last) document.body.removeAttribute("aria-busy");
  });
}

function show(boxes) {
  for (const old of svg.querySelectorAll(".box")) old.remove();
  for (const [index, box] of boxes.entries()) {
    const group = document.createElementNS(SVG, "g");
    group.classList.add("box", box.kind);
    group.dataset.box = index;
    const title = document.createElementNS(SVG, "title");
    title.textContent = box.name;
    const rect = document.createElementNS(SVG, "rect");
    const [x0, y0, x1, y1] = box.box;
    const sides = { x: x0, y: y0, width: x1 - x0, height: y1 - y0 };
    for (const [name, value] of Object.entries(sides)) rect.setAttribute(name, value);
    const tag = document.createElementNS(SVG, "text");
    tag.setAttribute("x", x0);
    tag.setAttribute("y", y0);
    tag.setAttribute("aria-hidden", "true");
    tag.textContent = box.tag;
    group.append(title, rect, tag);
    svg.append(group);
  }
  const names = boxes.map((box) => Object.assign(document.createElement("li"), { textContent: box.name }));
  document.getElementById("boxes").replaceChildren(...names);
}

function broken() {
  say("This frame cannot be shown: it is left out.", true);
  for (const name of ["draw", "undo", "finish"]) button(name)?.setAttribute("aria-disabled", "true");
  const on = Object.assign(document.createElement("a"), { href: "/", textContent: "Next frame", className: "button" });
  document.querySelector(".bar").append(on);
  pen = null;
}

const keep = (rect) => then(async () => {
  const told = await ask("draw", { rect });
  if (told) show(told.boxes);
});
let pen = looked ? null : drawing(svg, { keep, say });
picture.addEventListener("error", broken);
if (picture.complete && !picture.naturalWidth) broken();
const keys = {};

function wire(name, key, act) {
  const one = button(name);
  if (!one) return;
  keys[key] = act;
  if (one.tagName === "BUTTON") one.addEventListener("click", () => (pen || looked) && there() ? act() : undefined);
}

wire("draw", "d", () => pen.begin());
wire("undo", "u", () => then(async () => {
  const told = await ask("undo");
  if (told) show(told.boxes);
}));
wire("finish", "a", () => then(async () => {
  if (pen.active) pen.leave();
  if (await ask("finish")) { location.reload(); await new Promise(() => {}); }
}));
wire("blur", "b", () => then(async () => {
  const told = await ask("blur");
  if (told && !told.n_to_blur) {
    button("blur").remove();
    delete keys.b;
  }
}));
wire("next", "n", () => { location.href = "/"; });
if (looked) keys.ArrowRight = keys.n;

if (pen) {
  // A drag draws at once, without the button before it.
  main.classList.add("drawing");
  let dragging = false;
  svg.addEventListener("pointerdown", (event) => {
    dragging = Boolean(pen) && !pen.active && event.button === 0;
    if (dragging && !there()) dragging = false;
    if (dragging) pen.begin();
  }, { capture: true });
  svg.addEventListener("pointerup", () => {
    if (dragging && pen?.active) {
      pen.leave();
      say("That was no box: drag from one corner of the face to the other.", true);
    }
    dragging = false;
  });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (pen?.active && pen.key(event)) return;
  const act = (pen || looked) && keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act || event.repeat) return;
  event.preventDefault();
  if (there()) act();
});
document.documentElement.dataset.ready = "";
