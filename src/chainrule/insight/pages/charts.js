// Charts: Plotly is loaded when the first is to be drawn; each is drawn when it comes into sight,
// and again where it changed.

import { el, plotly } from "./common.js";

const SETTINGS = { responsive: true, displayModeBar: false, doubleClick: "reset" };
const touch = window.matchMedia("(pointer: coarse)").matches;
let loading = null;

function library() {
  loading ??= new Promise((done, failed) => {
    document.head.append(
      el("script", { src: plotly, onload: () => done(window.Plotly), onerror: failed }));
  });
  return loading;
}

// What is to be drawn in which place, and what is drawn there.
const wanted = new WeakMap();
const drawn = new WeakMap();
const inSight = new WeakSet();

const watch = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) {
    if (isIntersecting) inSight.add(target);
    else inSight.delete(target);
    if (isIntersecting) draw(target);
  }
}, { rootMargin: "400px" });

// Show a figure in an element; what was zoomed into or chosen there stays so.
export function show(place, figure) {
  const now = JSON.stringify(figure);
  if (wanted.get(place) === now) return;
  wanted.set(place, now);
  watch.observe(place);
  if (inSight.has(place)) draw(place);
}

async function draw(place) {
  const now = wanted.get(place);
  if (drawn.get(place) === now) return;
  drawn.set(place, now);
  const Plotly = await library();
  const { data, layout } = JSON.parse(now);
  const more = { autosize: true, uirevision: "kept" };
  // With a finger one scrolls the page, and does not zoom into the chart.
  if (touch) more.dragmode = false;
  chooseAgain(place, data, layout);
  place.style.height = `${layout.height}px`;
  await Plotly.react(place, data, { ...layout, ...more }, SETTINGS);
  place.dataset.drawn = String(data.length);
}

// Show in a new figure what was chosen from the menu of the one drawn: Plotly keeps zooms alone.
function chooseAgain(place, data, layout) {
  const before = place.layout?.updatemenus?.[0], menu = layout.updatemenus?.[0];
  const chosen = before?.buttons[before.active ?? 0].label;
  const active = menu?.buttons.findIndex(({ label }) => label === chosen) ?? -1;
  if (active < 0) return;
  menu.active = active;
  const [{ visible }, axes] = menu.buttons[active].args;
  data.forEach((trace, i) => { trace.visible = visible[i]; });
  for (const [path, value] of Object.entries(axes)) {
    const [axis, key] = path.split(".");
    layout[axis][key] = value;
  }
}

export function forget(element) {
  for (const place of element.querySelectorAll(".chart")) {
    watch.unobserve(place);
    window.Plotly?.purge(place);
  }
}
