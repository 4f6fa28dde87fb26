// What can be asked of a run from its page, and what was.

import { duration, el, here, number, say, t } from "./common.js";

const ACTIVE = ["running", "paused"];
const LOWER = [[0.5, "1/2"], [0.1, "1/10"]];

export function controlPart(name) {
  const part = { onsent: () => {} };
  const note = el("p", { class: "help", role: "status", id: "said" });
  const pause = el("button", {
    id: "pause",
    onclick: () => send({ command: state === "paused" ? "resume" : "pause" }),
  });
  const stop = el("button", { id: "stop", onclick: () => dialog.showModal() }, t("stop"));
  const lower = LOWER.map(([factor, sign]) => el("button", {
    class: "lower",
    "data-factor": String(factor),
    onclick: () => send({ command: "learning_rate", factor }),
  }, t("lower", { sign })));
  const dialog = stopDialog(name, () => send({ command: "stop" }));
  const buttons = el("div", { class: "buttons" }, pause, ...lower, stop);
  part.element = el("div", { class: "controls", role: "group", "aria-label": t("controls") },
    buttons, note, dialog);
  // How many commands the run has carried out, and how many it will have with the one on its way.
  let state = "", heard = 0, awaited = 0;

  async function send(command) {
    awaited = heard + 1;
    able();
    say(note, t("sent"));
    const trouble = await sent(name, command);
    if (trouble) {
      awaited = 0;
      say(note, trouble);
    }
    able();
    part.onsent();
  }

  function able() {
    const off = !ACTIVE.includes(state) || awaited > heard;
    for (const button of [pause, stop, ...lower]) button.disabled = off;
  }

  part.update = (run) => {
    const active = ACTIVE.includes(run.state);
    if (run.commands.length !== heard || run.state !== state) {
      heard = run.commands.length;
      awaited = awaited > heard ? awaited : 0;
      if (!awaited) say(note, active ? "" : t("has_ended"));
    }
    state = run.state;
    buttons.hidden = !active;
    if (!active) {
      dialog.close();
      say(note, t("has_ended"));
    }
    say(pause, t(state === "paused" ? "resume" : "pause"));
    const rate = Number(run.learning_rate);
    for (const button of lower) {
      const after = rate * Number(button.dataset.factor);
      button.title = t("lower_to", { before: number(rate), after: number(after) });
    }
    able();
  };
  return part;
}

// Send a command; return what went wrong, in words, or nothing.
async function sent(name, command) {
  try {
    const answer = await fetch(here("api/command", { run: name }), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(command),
    });
    if (answer.ok) return "";
    return t([404, 409].includes(answer.status) ? "has_ended" : "refused");
  } catch {
    return t("lost");
  }
}

function stopDialog(name, stop) {
  const dialog = el("dialog", { id: "sure" },
    el("p", { class: "headline" }, t("sure", { name })),
    el("p", {}, t("sure_text")),
    el("div", { class: "buttons" },
      el("button", { id: "yes", onclick: () => { dialog.close(); stop(); } }, t("stop")),
      el("button", { id: "no", onclick: () => dialog.close() }, t("keep"))));
  return dialog;
}

export function showCommands(place, commands) {
  const now = JSON.stringify(commands);
  if (place.dataset.last === now) return;
  place.dataset.last = now;
  if (!commands.length) return place.replaceChildren();
  place.replaceChildren(el("div", { class: "card" },
    el("h3", {}, t("commands")),
    el("ol", { class: "log" }, commands.toReversed().map((command) =>
      el("li", {}, el("span", { class: "help" }, t("after", { time: duration(command.time) })), " ",
        told(command))))));
}

function told(command) {
  if (command.command !== "learning_rate") return t(`did_${command.command}`);
  return t("did_lower", { before: number(command.before), after: number(command.after) });
}
