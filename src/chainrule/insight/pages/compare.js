// Several runs beside each other: a curve of each, how they ended, in what they differ.

import { count, duration, el, here, number, poll, say, spoken, stateMark, t } from "./common.js";
import { show } from "./charts.js";

export function showComparison(page, parameters) {
  const names = parameters.getAll("run");
  document.title = `${t("comparison")} · chainrule`;
  let metric = parameters.get("metric") ?? "";
  const choice = el("select", { id: "metric", onchange: () => choose(choice.value) });
  const chart = el("div", { class: "chart" });
  const note = el("p", { class: "help" });
  const fewer = el("p", { class: "help", id: "fewer", hidden: true });
  const ends = el("div", { class: "card", id: "ends" });
  const differ = el("div", { class: "card", id: "differences" });
  page.replaceChildren(
    el("div", { class: "head" },
      el("div", {},
        el("p", { class: "over" }, el("a", { href: "./" }, `← ${t("runs")}`)),
        el("h1", {}, t("comparison"))),
      el("label", {}, `${t("metric")} `, choice)),
    fewer,
    el("div", { class: "card" }, note, chart),
    ends, differ);

  const address = () => spoken("api/compare",
    [...names.map((name) => ["run", name]), ["metric", metric]]);
  const asking = poll(address, take, {
    rest: (took) => Math.min(Math.max(1500, 5 * took), 10_000),
  });

  function choose(chosen) {
    metric = chosen;
    const query = new URLSearchParams(location.search);
    query.set("metric", metric);
    history.replaceState(null, "", `?${query}`);
    asking.again();
  }

  function take(got) {
    const there = got.metrics.map(([name]) => name);
    if (there.includes(metric) && got.metric !== metric) return; // an answer to before
    if (changed(choice, got.metrics)) {
      choice.replaceChildren(...got.metrics.map(([name, label]) =>
        el("option", { value: name }, label)));
    }
    choice.value = got.metric;
    fewer.hidden = !got.left_out;
    say(fewer, t("compared", { shown: got.runs.length, count: got.left_out }));
    say(note, got.figure ? t("lines") : t("no_charts"));
    chart.hidden = !got.figure;
    if (got.figure) show(chart, got.figure);
    showEnds(ends, got);
    showDifferences(differ, got);
  }
}

// Whether something is another than what was last shown in a place.
function changed(place, content) {
  const now = JSON.stringify(content);
  const another = place.dataset.last !== now;
  place.dataset.last = now;
  return another;
}

function table(heads, rows) {
  return el("div", { class: "scroll" }, el("table", {},
    el("thead", {}, el("tr", {}, heads.map(([text, kind]) =>
      el("th", { scope: "col", class: kind }, text)))),
    el("tbody", {}, rows)));
}

function showEnds(place, got) {
  if (!changed(place, [got.runs, got.label])) return;
  if (!got.runs.length) return place.replaceChildren(el("p", {}, t("no_such_runs")));
  const best = [got.held, got.label].map((name) => [t("best", { name }), "number"]);
  const numbers = ["epochs", "elapsed"].map((key) => [t(key), "number"]);
  const heads = [[t("run")], ...best, ...numbers, [t("state")]];
  place.replaceChildren(table(heads, got.runs.map((run) => el("tr", {},
    el("th", { scope: "row" }, el("a", { href: here("run", { run: run.name }) }, run.name)),
    el("td", { class: "number" }, number(run.best_held)),
    el("td", { class: "number" }, number(run.best)),
    el("td", { class: "number" }, count(run.epochs)),
    el("td", { class: "number" }, duration(run.elapsed)),
    el("td", {}, stateMark(run.state))))));
}

function showDifferences(place, got) {
  const names = got.runs.map((run) => run.name);
  if (!changed(place, [got.differences, names])) return;
  place.hidden = names.length < 2;
  const title = el("h3", {}, t("differences"));
  if (!got.differences.length) {
    return place.replaceChildren(title, el("p", { class: "help" }, t("no_differences")));
  }
  const heads = [t("setting"), ...names].map((text) => [text]);
  place.replaceChildren(title, table(heads, got.differences.map((row) => el("tr", {},
    // A long path may be broken behind its dots.
    el("th", { scope: "row" }, row.name.split(/(?<=\.)/).flatMap((part) => [part, el("wbr")])),
    row.values.map((value) => el("td", {}, value || "–"))))));
}
