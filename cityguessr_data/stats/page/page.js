// Draws the plots, again when the theme changes; ties selects, search and ranks to plots and tables; sorts tables.
"use strict";

const { configs, datasets, charts } = JSON.parse(document.getElementById("charts").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const views = {};   // chart name -> Vega view
const chosen = {};  // chart name -> {parameter: value} that the reader set; they outlive a change of theme
let round = 0;

async function draw() {
  const mine = ++round;
  const config = configs[dark.matches ? "dark" : "light"];
  for (const box of document.querySelectorAll(".chart[data-level]")) box.hidden = false;  // or it has no width
  for (const box of document.querySelectorAll("[data-chart]")) {
    const name = box.dataset.chart;
    const spec = { ...charts[name], datasets, config };
    const made = await vegaEmbed(box, spec, {
      patch: name === "names" ? growWithRows : undefined,
      mode: "vega-lite", renderer: "svg", ast: true, actions: false, defaultStyle: false, hover: false,
      tooltip: showTooltip,
    });
    if (mine !== round) return made.finalize();  // the theme changed meanwhile
    views[name]?.finalize();
    views[name] = made.view;
    await set(name, chosen[name] ?? {});
    if (name === "skyline") made.view.addSignalListener("window", (_, window) => showRanks(window));
  }
  hideSkyline();
  for (const part of document.querySelectorAll("article")) showLevel(part);
  document.documentElement.dataset.theme = config === configs.dark ? "dark" : "light";
  document.documentElement.dataset.drawn = mine;
}

// One box for all tooltips, beside the pointer and inside the window. What it says is text, never markup.
const tip = document.body.appendChild(document.createElement("div"));
tip.id = "tooltip";
tip.hidden = true;

function showTooltip(_, event, item, fields) {
  tip.hidden = fields === null || typeof fields !== "object";
  if (tip.hidden) return;
  tip.replaceChildren(...Object.entries(fields).flatMap(([name, value]) => [line("dt", name), line("dd", value)]));
  const { width, height } = tip.getBoundingClientRect();
  const below = event.clientY + 16;
  tip.style.left = `${Math.max(8, Math.min(event.clientX + 14, innerWidth - width - 8))}px`;
  tip.style.top = `${below + height < innerHeight ? below : Math.max(8, event.clientY - height - 12)}px`;
}

function line(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

// The list of names is as high as the classes that it shows. Vega-Lite's own steps warn beside a width that fits a box.
function growWithRows(vega) {
  const y = vega.scales.find((scale) => scale.name === "y");
  y.range = { step: 20 };
  delete vega.height;
  const update = `20 * bandspace(domain("y").length, ${y.paddingInner}, ${y.paddingOuter})`;
  vega.signals.push({ name: "height", update });
  return vega;
}

// Sets parameters of one chart and remembers them.
async function set(name, values) {
  chosen[name] = { ...chosen[name], ...values };
  const view = views[name];
  if (!view) return;
  for (const [param, value] of Object.entries(values)) view.signal(param, value);
  await view.runAsync();
}

// As search_key in words.py: without case, accents and underscores.
const searchKey = (typed) =>
  typed.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/[_\s]+/g, " ").trim();

const parameters = {
  level: (value) => ({ level: value }),
  mode: (value) => ({ mode: value }),
  search: (value) => ({ search: searchKey(value) }),
  view: (value) => {
    const [lon, lat, zoom] = value.split(",").map(Number);
    return { lon, lat, zoom };
  },
};

function change(control) {
  const plot = control.closest("article");
  const values = parameters[control.dataset.param](control.value);
  showLevel(plot);
  for (const box of plot.querySelectorAll(".chart:not([data-level]) > [data-chart]")) set(box.dataset.chart, values);
  filterRows(plot);
  if (plot.querySelector("[data-ranks]")) {
    hideSkyline();
    pickRanks("all");
  }
}

// Of charts that each show one level, shows that of the chosen one.
function showLevel(plot) {
  const level = plot.querySelector("[data-param=level]")?.value;
  const boxes = plot.querySelectorAll(".chart[data-level]");
  for (const box of boxes) box.hidden = box.dataset.level !== level;
  if (boxes.length) dispatchEvent(new Event("resize"));  // a plot that was hidden may have had another width
}

// Shows the rows of the chosen level that match the search, and says how many do.
function filterRows(plot) {
  const level = plot.querySelector("[data-param=level]")?.value;
  const search = searchKey(plot.querySelector("[data-param=search]")?.value ?? "");
  let inLevel = 0, shown = 0;
  for (const row of plot.querySelectorAll("tbody tr[data-level]")) {
    const here = row.dataset.level === level;
    row.hidden = !here || !(row.dataset.key ?? "").includes(search);
    inLevel += here;
    shown += !row.hidden;
  }
  const output = plot.querySelector("output");
  sayNothingFound(plot, search && !shown ? plot.querySelector("[data-param=search]").value.trim() : "");
  if (output) output.value = search ? `${shown.toLocaleString("en")} of ${inLevel.toLocaleString("en")} match` : "";
}

// In place of an empty list of names.
function sayNothingFound(plot, searched) {
  const said = plot.querySelector(".nothing");
  if (!said) return;
  said.textContent = searched ? `No class of this level has “${searched}” in its name.` : "";
  if (said.hidden === !searched) return;
  said.hidden = !searched;
  (plot.querySelector("[data-chart=names]")?.parentElement ?? plot.querySelector(".scroll")).hidden = !said.hidden;
  dispatchEvent(new Event("resize"));  // a plot that was hidden has no width yet
}

// A skyline of a handful of classes says no more than their names do.
function hideSkyline() {
  const box = document.querySelector("[data-chart=skyline]")?.parentElement;
  if (!box) return;
  const plot = box.closest(".plot");
  const level = plot.querySelector("[data-param=level]").value;
  const few = plot.querySelectorAll(`tr[data-level="${level}"]`).length <= 12;
  if (box.hidden === few) return;
  for (const part of [box, plot.querySelector(".buttons")]) part.hidden = few;
  dispatchEvent(new Event("resize"));  // a plot that was hidden has no width yet
}

// Brings out the curves whose names are pressed; none: all.
function pick(button) {
  button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
  const plot = button.closest(".plot");
  const picked = [...plot.querySelectorAll("[data-pick][aria-pressed=true]")].map((pressed) => pressed.dataset.pick);
  for (const box of plot.querySelectorAll("[data-chart]")) set(box.dataset.chart, { picked });
}

// The list of names follows the window that is dragged over the skyline; its longest bar is the first in the window.
function showRanks(window) {
  const [low, high] = Object.values(window)[0] ?? [1, 1e9];
  const level = document.querySelector("#classes [data-param=level]").value;
  const top = datasets.classes.find((row) => row.level === level && row.i === Math.max(Math.ceil(low), 1) - 1);
  set("names", { low, high, most: Math.max(top?.n ?? 1, 1) });
}

// Puts the window over all, the first or the last 30 ranks.
function pickRanks(which) {
  const view = views.skyline;
  if (!view) return;
  const [start, end] = view.scale("x").domain();
  const range = { first: [start, Math.min(start + 30, end)], last: [Math.max(end - 30, start), end] }[which];
  view.signal("window_x", range ? range.map(view.scale("x")) : [0, 0]).runAsync();
  if (!range) showRanks({});
}

function sort(heading) {
  const table = heading.closest("table");
  const body = table.tBodies[0];
  const column = heading.cellIndex;
  const numeric = heading.classList.contains("number");
  const before = heading.getAttribute("aria-sort");
  const ascending = before ? before === "descending" : !numeric;  // numbers: the largest first
  const key = (row) => {
    const cell = row.cells[column];
    if (!numeric) return cell.textContent;
    return cell.dataset.value === "" ? null : Number(cell.dataset.value);
  };
  const order = ascending ? 1 : -1;
  const rows = [...body.rows].map((row) => [key(row), row]);
  rows.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);  // unknown ones stay last
    return order * (numeric ? a - b : a.localeCompare(b, "en", { numeric: true }));
  });
  body.append(...rows.map(([, row]) => row));
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
}

for (const control of document.querySelectorAll("[data-param]"))
  control.addEventListener("input", () => change(control));
for (const button of document.querySelectorAll("[data-ranks]"))
  button.addEventListener("click", () => pickRanks(button.dataset.ranks));
for (const button of document.querySelectorAll("[data-pick]"))
  button.addEventListener("click", () => pick(button));
for (const button of document.querySelectorAll("th button"))
  button.addEventListener("click", () => sort(button.parentElement));
for (const part of document.querySelectorAll("article")) filterRows(part);
dark.addEventListener("change", draw);
draw();
