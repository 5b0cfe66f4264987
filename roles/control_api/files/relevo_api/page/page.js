// The status page. It polls; what it shows is what the API said last, and it says when that is old.
import * as api from "./api.js";
import { drillMark, kind, mark, spark, svg, timeline, when } from "./draw.js";
import { ask, title } from "./dialogs.js";
import { command, el, fill } from "./elements.js";
import { bytes, choose, clock, duration, language, moment, recent, say, WORDS } from "./words.js";

const $ = (id) => document.getElementById(id);
const EVERY = { nodes: 1000, status: 30000, backups: 60000, jobs: 3000 };
const OFFERED = ["switchover", "failback", "backups", "drills", "restores"];
// As long as the watcher, or the status, may be silent before what it said says nothing of now.
const OLD_MS = { nodes: 60000, status: 300000 };
const NOTHING = { cluster: null, live: null, status: null, backups: null, jobs: null };
const known = { me: null, clusters: [], operations: [], heard: 0, away: false, trouble: {}, answered: {}, ...NOTHING };
const lags = new Map();
const logs = new Map();
const timers = new Map();
// Each cluster that is opened, and each time of signing out, begins another turn. What was asked before is not answered to
// this one: the answer may be about another cluster, and the refusal about a token that is no longer used.
let turn = 0;

// --- words, theme -----------------------------------------------------------------------------------------------------
function speak() {
  document.documentElement.lang = language();
  for (const one of document.querySelectorAll("[data-word]")) one.textContent = say(one.dataset.word);
  for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", say(one.dataset.label));
  $("language").textContent = say("otherLanguage");
  $("language").lang = language() === "en" ? "es" : "en";
  $("theme").textContent = say(isDark() ? "light" : "dark");
}
const isDark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
function theme(name) { document.documentElement.dataset.theme = name; localStorage.setItem("relevo-theme", name); }

// --- asking -----------------------------------------------------------------------------------------------------------
const base = () => `/v1/clusters/${encodeURIComponent(known.cluster)}`;
const PATHS = {
  nodes: () => `${base()}/nodes`,
  status: () => `${base()}?max_age=45`,
  backups: () => `${base()}/backups?limit=200`,
  jobs: () => `/v1/jobs?limit=8&cluster=${encodeURIComponent(known.cluster)}`,
};
// What becomes of an answer: at once, so that no other turn comes in between.
const TAKE = {
  nodes: (answer) => { known.live = answer; remember(answer); },
  status: (answer) => { known.status = answer; },
  backups: (answer) => { known.backups = answer.items; },
  jobs: (answer) => {
    const before = known.jobs?.find((one) => one.state === "running");
    known.jobs = answer.items;
    if (before && !known.jobs.some((one) => one.id === before.id && one.state === "running")) { refresh("status"); refresh("backups"); }
  },
};

async function refresh(name) {
  const asked = turn;
  try {
    const answer = await api.get(PATHS[name]());
    if (asked !== turn) return;
    TAKE[name](answer);
    known.answered[name] = Date.now();
    delete known.trouble[name];
    heard();
  } catch (failure) {
    if (asked !== turn) return;
    if (failure instanceof api.Away) known.away = true;
    else if (!(failure instanceof api.Refused)) throw failure;
    else if (failure.status === 401) { leave(say("badToken")); return; }
    // Who refuses is there. Why is said where the answer would be.
    else { known.trouble[name] = failure.message; heard(); }
  }
  show();
}
function heard() { known.heard = Date.now(); known.away = false; }

function every(name) {
  const begun = turn;
  const again = async () => {
    await refresh(name);
    if (begun === turn) timers.set(name, setTimeout(again, known.away ? 2000 : EVERY[name]));
  };
  again();
}

// By this machine's own clock, which need not be the server's.
const silent = (name) => Date.now() - (known.answered[name] ?? 0);
const isLive = () => Boolean(known.live?.known) && !known.trouble.nodes && silent("nodes") < OLD_MS.nodes;
const statusAge = () => known.status.age_s + silent("status") / 1000;
const isOld = () => Boolean(known.trouble.status) || statusAge() * 1000 > OLD_MS.status;

function remember(live) {
  for (const node of live.nodes) {
    const values = lags.get(node.name) ?? [];
    values.push(node.replay_lag_bytes ?? 0);
    lags.set(node.name, values.slice(-60));
  }
}

// --- showing ----------------------------------------------------------------------------------------------------------
function show() {
  showAge();
  showVerdict();
  showProblems();
  showNodes();
  showBackups();
  showJobs();
  showClusters();
}

function showAge() {
  const age = (Date.now() - known.heard) / 1000;
  $("stale").hidden = !known.away;
  $("view").dataset.old = String(known.away);
  if (known.away) $("stale").textContent = say("stale", { time: recent(known.heard), age: duration(age) });
  const state = known.away ? "away" : isLive() ? "live" : "old";
  $("pulse").dataset.state = state;
  const words = { away: say("away"), live: say("live"), old: known.live ? say("oldView") : "" };
  if ($("pulse").textContent !== words[state]) $("pulse").textContent = words[state];
}

// How it stands, in a word and two sentences; and what the API says instead, which is English.
function verdict() {
  const { live, status } = known;
  const trouble = known.trouble.status ?? known.trouble.nodes ?? "";
  const now = isLive();
  const old = status !== null && isOld();
  const since = old ? say("oldStatus", { time: moment(status.at), age: duration(statusAge()) }) : "";
  if (!now && (!status || old)) return ["unknown", trouble || old ? say("unknown") : say("loading"), since, trouble];
  const primaries = now ? live.primaries : status.primaries;
  const first = primaries.length > 1 ? say("twoPrimaries", { names: primaries.join(", ") })
    : primaries.length ? say("isPrimary", { name: primaries[0] }) : say("noPrimary");
  // What the servers say themselves is known without the status; that all is well is not.
  if (!status || old) return [primaries.length === 1 ? "unknown" : "error", first, old ? since : trouble ? "" : say("loading"), trouble];
  const { problems } = status;
  const bad = primaries.length !== 1 || problems.some((one) => one.severity === "error");
  const second = problems.length ? say(problems.length === 1 ? "wrongOne" : "wrong", { n: problems.length }) : say("allWell");
  return [bad ? "error" : problems.length ? "warning" : "good", first, `${second} ${say("asOf", { time: clock(status.at) })}`, trouble];
}

function showVerdict() {
  const [state, first, second, trouble] = verdict();
  $("verdict").dataset.state = state;
  if ($("headline").textContent !== first) $("headline").textContent = first;
  fill($("subline"), ...[trouble && el("span", { lang: "en" }, trouble), trouble && second && el("br"), second && el("span", {}, second)].filter(Boolean));
  $("actions").hidden = !known.me || known.me.scope === "read";
  const running = known.jobs?.some((one) => one.state === "running");
  const offered = OFFERED.filter((name) => known.operations.includes(name));
  fill($("actions"), ...offered.map((name) => {
    const button = el("button", { type: "button", class: "secondary", "data-operation": name }, title(name));
    button.toggleAttribute("disabled", Boolean(running) || known.away || !known.live);
    return button;
  }));
}

function showProblems() {
  const problems = known.status?.problems ?? [];
  $("problems").hidden = !problems.length;
  fill($("problemList"), ...problems.map((one) => {
    const playbook = /\b([a-z_]+\.yml)((?:\s+-e\s+[a-z_]+=[^\s,;.]+)*)/.exec(one.action);
    const typed = playbook ? command(`ansible-playbook playbooks/${playbook[1]} -e cluster=${known.cluster}${playbook[2]}`) : null;
    return el("li", { class: "problem", "data-severity": one.severity },
      el("p", {}, el("span", { class: "word" }, `${say(one.severity)}: `), el("span", { lang: "en" }, `${one.message} ${one.action}`)), typed);
  }));
}

function showNodes() {
  const nodes = known.live?.nodes ?? [];
  fill($("nodes"), ...nodes.map((node) => {
    const role = node.role ?? "none";
    const parts = [el("header", {}, el("h3", {}, node.name), el("span", { class: "role", "data-role": role }, say(role)))];
    const about = known.status?.nodes.find((one) => one.name === node.name);
    if (role === "primary") parts.push(el("p", { class: "figure" }, el("span", {}, el("strong", {}, node.lsn), `${say("accepts")} · ${say("timeline", { n: node.timeline })}`)));
    if (role === "standby") {
      const behind = node.replay_lag_bytes === null ? say("notKnown") : bytes(node.replay_lag_bytes);
      const word = node.streaming ? `${say("lag")} · ${say("timeline", { n: node.timeline })}` : say("notStreaming");
      parts.push(el("div", { class: "figure" }, el("span", {}, el("strong", {}, behind), word), spark(lags.get(node.name) ?? [], say("lag"))));
    }
    if (role === "none" && isLive()) parts.push(el("p", { class: "muted", lang: "en" }, about?.reason || node.error || ""));
    return el("li", { class: "node", "data-role": role }, ...parts);
  }));
}

function showBackups() {
  const { status, backups } = known;
  if (status) {
    const window = status.backups.recovery_window;
    const last = status.backups.last;
    const failing = status.archive.failing;
    const fact = (word, value, state = "") => [el("dt", {}, say(word)), el("dd", { "data-state": state }, value)];
    fill($("facts"), ...[
      fact("windowFrom", window ? moment(window.from) : say("notKnown")),
      fact("windowUntil", window ? moment(window.until) : say("notKnown")),
      fact("lastBackup", last ? `${say(last.type)}, ${say("ago", { age: duration(last.age_s + statusAge() - status.age_s) })}` : say("noBackups")),
      fact("archive", failing === null ? say("notKnown") : say(failing ? "fails" : "works"), failing === null ? "" : failing ? "bad" : isOld() ? "" : "good"),
    ].map((pair) => el("div", {}, ...pair)));
    $("cycle").textContent = isOld() ? say("asOf", { time: moment(status.at) }) : status.backups.next_day ? say("nextDay", { n: status.backups.next_day }) : "";
  }
  if (!backups) {
    if (known.trouble.backups) fill($("timeline"), el("p", { class: "empty", lang: "en" }, known.trouble.backups));
    return;
  }
  if (!backups.length) return fill($("timeline"), el("p", { class: "empty" }, say("noBackups")));
  const holes = (status?.problems ?? []).filter((one) => one.code.startsWith("archive-hole"));
  // A record whose backup is gone has no moment, and no place on it.
  const placed = backups.filter((one) => one.terminado).slice(0, 24).reverse();
  fill($("timeline"), ...(placed.length ? [timeline(placed, status?.backups.recovery_window, holes, Math.max(280, $("timeline").clientWidth))] : []));
  const sign = (drawn, word) => el("li", {}, svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, drawn), say(word));
  const signs = ["full", "diff", "incr"].map((what) => sign(mark(what, 8, 8), what));
  signs.push(sign(svg("rect", { class: "window", x: 1, y: 4, width: 14, height: 8, rx: 2 }), "inWindow"));
  if (placed.some((one) => one.verificado && one.resultado === "correcto")) signs.push(sign(drillMark(true, 7, 8), "drilled"));
  if (placed.some((one) => one.verificado && one.resultado !== "correcto")) signs.push(sign(drillMark(false, 8, 8), "drillFailed"));
  if (holes.length) signs.push(sign(svg("rect", { class: "hole", x: 5, y: 2, width: 6, height: 12, rx: 2 }), "hole"));
  fill($("legend"), ...signs);
  const head = el("thead", {}, el("tr", {}, ...["date", "time", "type", "from", "drill", "label"].map((word) => el("th", { scope: "col" }, say(word)))));
  const rows = backups.map((one) => el("tr", {}, ...[one.fecha, one.hora, say(kind(one)), one.maestro_usado, one.verificado ? say(one.resultado === "correcto" ? "drilled" : "drillFailed") : "", one.etiqueta ?? ""].map((value) => el("td", {}, value))));
  fill($("backupTable"), head, el("tbody", {}, ...rows));
}

function showJobs() {
  if (!known.jobs) return;
  if (!known.jobs.length) return fill($("jobs"), el("li", { class: "empty" }, say("noJobs")));
  const items = known.jobs.map((job) => {
    const open = logs.has(job.id);
    const text = `${title(job.operation)}${job.variables.candidate ? ` → ${job.variables.candidate}` : ""}`;
    const button = el("button", { type: "button", "data-job": job.id, "aria-expanded": String(open) },
      el("span", { class: "dot" }), el("span", { class: "what" }, text), el("span", { class: "state" }, say(job.state)),
      el("span", { class: "who" }, say("by", { who: job.requested_by, time: moment(job.created) })));
    const parts = [button];
    if (job.problem && open) parts.push(el("p", { class: "problem-text", lang: "en" }, job.problem.detail), command(job.problem.suggestion.command));
    return [job, el("li", { class: "job", "data-state": job.state }, ...parts)];
  });
  // The logs are kept as they are, since somebody reads in them.
  const shown = [...$("jobs").children].map((one) => { const copy = one.cloneNode(true); copy.querySelector(".log")?.remove(); return copy; });
  if (shown.length === items.length && items.every(([, item], i) => item.isEqualNode(shown[i]))) return;
  const focused = document.activeElement?.dataset?.job;
  for (const [job, item] of items) if (logs.has(job.id)) item.append(logs.get(job.id).box);
  $("jobs").replaceChildren(...items.map(([, item]) => item));
  if (focused) $("jobs").querySelector(`[data-job="${focused}"]`)?.focus();
}

function toggleLog(id) {
  if (logs.has(id)) { logs.get(id).stop.abort(); logs.delete(id); return showJobs(); }
  const pre = el("pre", { lang: "en" });
  const box = el("div", { class: "log", tabindex: "0", role: "region", "aria-label": say("log", { what: id }) }, pre);
  const stop = new AbortController();
  logs.set(id, { box, stop });
  showJobs();
  api.follow(id, (what, event) => {
    if (what === "end") return refresh("jobs");
    if (what === "state") return;
    const below = box.scrollTop + box.clientHeight >= box.scrollHeight - 8;
    pre.append(el("span", { class: what }, what === "task" ? `· ${event.text}\n` : `${event.text}\n`));
    if (below) box.scrollTop = box.scrollHeight;
  }, stop.signal);
}

function showClusters() {
  const several = known.clusters.length > 1;
  $("clusters").hidden = !several;
  if (several) fill($("clusters"), ...known.clusters.map((name) => el("button", { type: "button", class: "quiet", "data-cluster": name, "aria-current": String(name === known.cluster) }, name)));
}

// --- coming and going -------------------------------------------------------------------------------------------------
function stop() {
  turn += 1;
  for (const timer of timers.values()) clearTimeout(timer);
  timers.clear();
  for (const one of logs.values()) one.stop.abort();
  logs.clear();
  lags.clear();
  // Nothing of one cluster is left to be taken for another's, nor for whoever signs in next.
  Object.assign(known, NOTHING, { trouble: {}, answered: {} });
  for (const id of ["facts", "cycle", "timeline", "legend", "backupTable", "jobs"]) fill($(id));
}

function open(cluster) {
  stop();
  known.cluster = cluster;
  show();
  for (const name of Object.keys(EVERY)) every(name);
}

function leave(why = "") {
  stop();
  api.forget();
  if ($("ask").open) $("ask").close();
  $("view").hidden = true;
  $("leave").hidden = true;
  $("pulse").textContent = "";
  $("stale").hidden = true;
  $("enter").hidden = false;
  $("enterProblem").hidden = !why;
  $("enterProblem").textContent = why;
  $("token").value = "";
  $("token").focus();
}

async function begin() {
  stop();
  const asked = turn;
  try {
    // One after the other: a wrong token is refused once, and the server counts that.
    const me = await api.get("/v1/me");
    const { operations } = await api.get("/v1/operations");
    const { clusters } = await api.get("/v1/clusters");
    if (asked !== turn) return;
    Object.assign(known, { me, operations: operations.map((one) => one.name), clusters: clusters.map((one) => one.name) });
    heard();
  } catch (failure) {
    if (asked !== turn) return;
    if (failure instanceof api.Refused) { leave(failure.status === 401 ? say("badToken") : failure.message); return; }
    $("pulse").dataset.state = "away";
    $("pulse").textContent = say("away");
    timers.set("begin", setTimeout(begin, 2000));
    return;
  }
  $("enter").hidden = true;
  $("view").hidden = false;
  $("leave").hidden = false;
  open(known.clusters[0]);
}

$("enter").addEventListener("submit", (event) => { event.preventDefault(); api.keep($("token").value.trim()); begin(); });
$("leave").addEventListener("click", () => leave());
$("language").addEventListener("click", () => { choose(Object.keys(WORDS).find((name) => name !== language())); speak(); if (known.cluster) show(); });
$("theme").addEventListener("click", () => { theme(isDark() ? "light" : "dark"); speak(); });
$("clusters").addEventListener("click", (event) => { if (event.target.dataset.cluster) open(event.target.dataset.cluster); });
$("jobs").addEventListener("click", (event) => { const button = event.target.closest("[data-job]"); if (button) toggleLog(button.dataset.job); });
$("actions").addEventListener("click", (event) => {
  const name = event.target.dataset.operation;
  const asked = turn;
  const started = async (job) => {
    if (asked === turn) await refresh("jobs");
    if (asked === turn && !logs.has(job.id)) toggleLog(job.id);
  };
  if (name) ask(name, { ...known.live, labels: (known.backups ?? []).map((one) => one.etiqueta).filter(Boolean) }, started);
});
addEventListener("resize", () => { if (known.backups) showBackups(); });
// What is shown grows old also while no answer comes.
setInterval(() => { if (known.cluster) { showAge(); showVerdict(); } }, 1000);

const stored = localStorage.getItem("relevo-theme");
if (stored === "dark" || stored === "light") document.documentElement.dataset.theme = stored;
speak();
if (api.token()) begin(); else leave();
