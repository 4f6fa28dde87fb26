// One run, live: where it is, what can be asked of it, and all that its report has.

import {
  bar, count, duration, el, moment, number, placeOf, poll, progress, say, spoken, stateMark, t,
} from "./common.js";
import { controlPart, showCommands } from "./control.js";
import { forget, show } from "./charts.js";

export function showRun(page, parameters) {
  const name = parameters.get("run") ?? "";
  document.title = `${name} · chainrule`;
  const state = el("span", { id: "state" });
  const begun = el("p", { class: "help" });
  const head = el("div", { class: "head" },
    el("div", {},
      el("p", { class: "over" }, el("a", { href: "./" }, `← ${t("runs")}`)),
      el("h1", {}, name, " ", state),
      begun),
    el("a", { class: "button", id: "report", href: spoken("report", { run: name }), download: true },
      t("report")));
  const now = nowPart();
  const controls = controlPart(name);
  const asked = el("div", { id: "commands" });
  const parts = sectionsPart();
  page.replaceChildren(head, now.element, controls.element, asked, parts.element);

  const gone = () => {
    facts.stop();
    sections.stop();
    page.replaceChildren(goneNote(name));
  };

  function take(run) {
    state.replaceChildren(stateMark(run.state));
    say(begun, t("begun_at", { time: moment(run.begun) }));
    now.update(run);
    controls.update(run);
    showCommands(asked, run.commands);
  }

  const facts = poll(() => spoken("api/run", { run: name }), take, { gone });
  // Charts are more work for the server than the rest: they take a sixth of its time at most.
  const sections = poll(() => spoken("api/sections", { run: name }), parts.update, {
    rest: (took) => Math.min(Math.max(1500, 5 * took), 10_000),
    gone,
  });
  controls.onsent = () => facts.again();
}

function goneNote(name) {
  return el("div", { class: "card", id: "gone" },
    el("h1", {}, t("gone")),
    el("p", {}, t("gone_text", { name })),
    el("p", {}, el("a", { href: "./" }, `← ${t("runs")}`)));
}

function nowPart() {
  const done = el("div", { class: "done" });
  const numbers = el("dl", { class: "tiles" });
  const element = el("div", { class: "now" }, done, numbers);

  function update(run) {
    const where = [placeOf(run)];
    if (["running", "paused"].includes(run.state) && run.steps) {
      where.push(t("batch_of", { batch: count(run.batch ?? 0), batches: count(run.steps) }));
    }
    const { share } = progress(run);
    done.replaceChildren(bar(share, where.join(" · ")), el("span", {}, where.join(" · ")));
    numbers.replaceChildren(...tiles(run, share).map(([title, text, more]) =>
      el("div", {}, el("dt", {}, title, more && ` · ${more}`), el("dd", {}, text))));
  }

  return { element, update };
}

function tiles(run, share) {
  const shown = Object.entries(run.logs)
    .filter(([key]) => key !== "learning_rate")
    .map(([key, value]) => [run.labels[key] ?? key, number(value)]);
  if (run.best) {
    const epoch = t("in_epoch", { epoch: count(run.best.epoch + 1) });
    shown.push([t("best", { name: run.best.name }), number(run.best.value), epoch]);
  }
  shown.push([t("learning_rate"), number(run.learning_rate)], [t("elapsed"), duration(run.elapsed)]);
  if (run.state === "running" && share > 0.01 && run.elapsed != null) {
    shown.push([t("left"), `≈ ${duration((run.elapsed / share) * (1 - share))}`]);
  }
  return shown;
}

// The sections of the report, each put anew only where it is another than before.
function sectionsPart() {
  const links = el("nav", { "aria-label": t("contents") });
  const element = el("div", { id: "sections" }, links);
  const kept = new Map();

  function update({ sections, figures }) {
    const keys = new Set(sections.map(({ key }) => key));
    for (const [key, section] of kept) {
      if (!keys.has(key)) {
        forget(section.element);
        section.element.remove();
        kept.delete(key);
      }
    }
    sections.forEach(({ key, title, html }, place) => {
      const section = kept.get(key) ?? makeSection(key, title);
      kept.set(key, section);
      if (element.children[place + 1] !== section.element) {
        element.insertBefore(section.element, element.children[place + 1] ?? null);
      }
      section.fill(html, figures);
    });
    if (links.children.length !== sections.length) {
      links.replaceChildren(...sections.map(({ key, title }) =>
        el("a", { href: `#${key}` }, title)));
    }
  }

  return { element, update };
}

function makeSection(key, title) {
  const content = el("div", {});
  const element = el("section", { id: key }, el("h2", {}, title), content);
  let last = "";

  function fill(html, figures) {
    if (html !== last) {
      forget(content);
      content.innerHTML = html; // what comes from a run was escaped by the server
      last = html;
    }
    for (const place of content.querySelectorAll(".chart[data-figure]")) {
      show(place, figures[Number(place.dataset.figure)]);
    }
  }

  return { element, fill };
}
