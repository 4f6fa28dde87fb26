// The list of runs, the newest first.

import {
  bar, count, duration, el, folder, here, moment, number, placeOf, poll, progress, say, spoken, stateMark, t,
} from "./common.js";

const SHOWN = 4; // numbers of a run in the list

export function showRuns(page) {
  document.title = `${t("runs")} · chainrule`;
  const compare = el("a", { class: "button", "aria-disabled": "true" }, t("compare"));
  const note = el("p", { class: "help", id: "note" });
  const list = el("ul", { class: "runs" });
  page.replaceChildren(
    el("div", { class: "head" },
      el("div", {}, el("h1", {}, t("runs")), el("p", { class: "help path" }, folder)),
      compare),
    note,
    list,
  );
  const entries = new Map();

  function chosen() {
    return [...entries.values()].filter((entry) => entry.box.checked).map((entry) => entry.name);
  }

  function choose() {
    const names = chosen();
    const enough = names.length > 1;
    say(compare, enough ? t("compare_some", { count: names.length }) : t("compare"));
    compare.setAttribute("aria-disabled", String(!enough));
    if (enough) compare.href = here("compare", names.map((name) => ["run", name]));
    else compare.removeAttribute("href");
  }

  function take({ runs, labels, left_out: leftOut }) {
    const names = new Set(runs.map((run) => run.name));
    for (const [name, entry] of entries) {
      if (!names.has(name)) {
        entry.element.remove();
        entries.delete(name);
      }
    }
    runs.forEach((run, place) => {
      const entry = entries.get(run.name) ?? makeEntry(run.name, choose);
      entries.set(run.name, entry);
      entry.update(run, labels);
      if (list.children[place] !== entry.element) {
        list.insertBefore(entry.element, list.children[place] ?? null);
      }
    });
    say(note, note_of(runs.length, leftOut));
    choose();
  }

  function note_of(found, leftOut) {
    if (!found) return t("no_runs");
    return leftOut ? t("left_out", { count: leftOut }) : found > 1 ? t("compare_hint") : "";
  }

  poll(() => spoken("api/runs"), take);
}

function makeEntry(name, choose) {
  const box = el("input", { type: "checkbox", "aria-label": t("choose", { name }), onchange: choose });
  const state = el("span", {});
  const what = el("p", { class: "help" });
  const done = el("div", { class: "done" });
  const numbers = el("dl", { class: "numbers" });
  const element = el("li", { class: "run", "data-run": name },
    el("label", { class: "pick" }, box),
    el("div", { class: "title" }, el("a", { href: here("run", { run: name }) }, name), state, what),
    done,
    numbers);
  let last = "";

  function update(run, labels) {
    const now = JSON.stringify(run);
    if (now === last) return;
    last = now;
    state.replaceChildren(stateMark(run.state));
    say(what, described(run));
    const { share } = progress(run);
    const where = placeOf(run);
    done.replaceChildren(bar(share, where), el("span", { class: "help" }, where));
    const logs = Object.entries(run.logs ?? {}).slice(0, SHOWN);
    numbers.replaceChildren(...logs.map(([key, value]) =>
      el("div", {}, el("dt", {}, labels[key] ?? key), el("dd", {}, number(value)))));
  }

  return { name, box, element, update };
}

function described(run) {
  const parts = [moment(run.begun)];
  if (run.model?.parameters != null) parts.push(t("parameters", { n: count(run.model.parameters) }));
  if (run.elapsed != null) parts.push(duration(run.elapsed));
  return parts.join(" · ");
}
