// What all pages share: words, elements, numbers, and asking the server again and again.

const setup = JSON.parse(document.getElementById("setup").textContent);
export const { language, words, folder, plotly } = setup;

// The word of a key, with what stands in its gaps: t("left_out", { count: 3 }).
export function t(key, values = {}) {
  const text = words[key] ?? key.replaceAll("_", " ");
  return text.replace(/\{(\w+)\}/g, (gap, name) => values[name] ?? gap);
}

// An element; children are elements or texts, never HTML: names in a run may be anything.
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child != null && child !== false));
  return made;
}

// Put text where it is another: what was selected there stays so.
export function say(element, text) {
  if (element.textContent !== String(text)) element.textContent = text;
}

// An address with what is asked there.
export function here(path, parameters = []) {
  const query = new URLSearchParams(parameters).toString();
  return query ? `${path}?${query}` : path;
}

// The same for what the server answers in words.
export function spoken(path, parameters = []) {
  return here(path, [...new URLSearchParams(parameters), ["language", language]]);
}

const locale = language === "zh" ? "zh-CN" : "en";
const whole = new Intl.NumberFormat(locale);
const clock = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });

export function count(value) {
  return value == null ? "–" : whole.format(value);
}

// Four digits; very small and large ones with a power of ten.
export function number(value) {
  if (value == null || value === "") return "–";
  const x = Number(value);
  if (!Number.isFinite(x)) return Number.isNaN(x) ? "NaN" : x > 0 ? "∞" : "−∞";
  const size = Math.abs(x);
  const text = x === 0 || (size >= 1e-3 && size < 1e6)
    ? String(Number(x.toPrecision(4)))
    : x.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
  return text.replace("-", "−");
}

export function moment(seconds) {
  return seconds ? clock.format(new Date(seconds * 1000)) : "–";
}

export function duration(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return "–";
  const s = Math.round(seconds);
  if (seconds < 10) return t("seconds", { n: Number(seconds.toFixed(1)) });
  if (s < 60) return t("seconds", { n: s });
  const two = (n) => String(n).padStart(2, "0");
  const [h, m] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
  return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

const SIGNS = { running: "▶", paused: "‖", finished: "✓", interrupted: "■", failed: "✗" };

// The state in a word and a sign, so that it needs no colour.
export function stateMark(state) {
  return el(
    "span",
    { class: `state ${state in SIGNS ? state : ""}` },
    el("span", { "aria-hidden": "true" }, `${SIGNS[state] ?? "?"} `),
    t(`state_${state}`),
  );
}

// The share of a run that is done, and what it is counted in.
export function progress(run) {
  const epochs = run.epochs || 0;
  const within = run.steps ? Math.min((run.batch ?? 0) / run.steps, 1) : 0;
  const done = (run.epoch ?? 0) + (run.state === "finished" ? 1 : within);
  return { done, epochs, share: epochs ? Math.min(done / epochs, 1) : 0 };
}

// Where a run is, in words.
export function placeOf(run) {
  if (!run.epochs) return "";
  const epoch = Math.min((run.epoch ?? 0) + 1, run.epochs);
  return t("epoch_of", { epoch: count(epoch), epochs: count(run.epochs) });
}

export function bar(share, label) {
  const made = el("progress", { max: "1", "aria-label": label });
  made.value = share;
  return made;
}

const connection = document.getElementById("connection");

function connected(yes) {
  connection.className = yes ? "" : "lost";
  say(connection, yes ? "" : t("lost"));
}

// Ask for an address again and again; `take` is called with each new answer, `gone` where there is
// none any more. `rest` tells how many milliseconds to wait, from how many it took.
export function poll(address, take, { rest = () => 1000, gone = () => {} } = {}) {
  let tag = "", stopped = false, timer = 0;

  async function ask() {
    if (document.hidden) return;
    const begun = performance.now();
    let took = 0;
    try {
      const answer = await fetch(address(), {
        cache: "no-store",
        headers: tag ? { "If-None-Match": tag } : {},
      });
      connected(true);
      if (stopped) return;
      if (answer.status === 404) return gone();
      if (answer.ok) {
        tag = answer.headers.get("ETag") ?? "";
        const got = await answer.json();
        took = performance.now() - begun;
        take(got);
      }
    } catch (error) {
      if (error instanceof TypeError) connected(false);
      else throw error;
    } finally {
      clearTimeout(timer);
      if (!stopped) timer = setTimeout(ask, rest(took));
    }
  }

  document.addEventListener("visibilitychange", ask);
  ask();
  return {
    again() { tag = ""; clearTimeout(timer); return ask(); },
    stop() { stopped = true; clearTimeout(timer); },
  };
}
