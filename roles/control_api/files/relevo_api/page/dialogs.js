// Asking before anything is done: the choices, the plan that the play itself makes, and only then the deed.
import * as api from "./api.js";
import { say } from "./words.js";
import { el, fill } from "./elements.js";

const $ = (id) => document.getElementById(id);

// What the page offers of each operation; the API knows more variables.
const FIELDS = {
  switchover: (cluster) => [choice("candidate", "candidate", [["", say("anyStandby")], ...cluster.nodes.filter((one) => one.role === "standby").map((one) => [one.name, one.name])])],
  backups: () => [choice("day", "day", [["", say("nextOne")], ..."123456".split("").map((n) => [n, n])])],
  drills: (cluster) => [choice("backup", "backup", [["", say("newest")], ...cluster.labels.map((one) => [one, one])])],
  restores: () => [text("target", "target", say("target_hint"))],
};

function choice(name, word, values) {
  const select = el("select", { id: `ask-${name}`, name }, ...values.map(([value, shown]) => el("option", { value }, shown)));
  return el("div", {}, el("label", { for: select.id }, say(word)), select);
}
function text(name, word, hint) {
  const input = el("input", { id: `ask-${name}`, name, placeholder: hint, required: "" });
  return el("div", {}, el("label", { for: input.id }, say(word)), input);
}

// What was asked for an earlier choice, or for a dialog that is closed, is not answered to this one.
let turn = 0;
// The keys of what was confirmed and not answered yet: confirmed again, also in a dialog opened anew, it starts nothing twice.
const keys = new Map();

export const title = (operation) => say(operation === "backups" ? "backup_now" : operation);

export function ask(operation, cluster, onStarted) {
  const path = `/v1/clusters/${encodeURIComponent(cluster.name)}/${operation}`;
  const fields = FIELDS[operation]?.(cluster) ?? [];
  let planned = null;
  const values = () => Object.fromEntries([...new FormData($("askForm"))].filter(([, value]) => value !== ""));
  const refuse = (failure) => {
    $("askProblem").hidden = false;
    fill($("askProblem"), el("span", { lang: failure.problem ? "en" : "" }, failure.problem ? failure.message : say("away")));
  };
  $("askTitle").textContent = title(operation);
  fill($("askFields"), ...fields);
  fill($("plan"));
  $("askProblem").hidden = true;
  $("askYes").textContent = say("do", { what: title(operation) });
  $("askYes").disabled = true;
  $("askPlan").disabled = false;

  const showPlan = async () => {
    if (!$("askForm").reportValidity()) return;
    const mine = turn += 1;
    planned = null;
    $("askYes").disabled = true;
    $("askProblem").hidden = true;
    $("askPlan").disabled = true;
    fill($("plan"), el("p", { class: "muted" }, say("working")));
    const asked = values();
    try {
      const plan = await api.post(`${path}?plan=true`, asked);
      if (mine !== turn) return;
      planned = asked;
      fill($("plan"), ...planLines(plan));
      $("askYes").disabled = plan.refusals.length > 0;
      if (!$("askYes").disabled) $("askYes").focus();
    } catch (failure) {
      if (mine !== turn) return;
      fill($("plan"));
      refuse(failure);
    }
    $("askPlan").disabled = false;
  };
  const act = async () => {
    const mine = turn += 1;
    $("askYes").disabled = true;
    $("askPlan").disabled = true;
    $("askProblem").hidden = true;
    const shown = [...$("plan").childNodes];
    const confirmed = `${api.token()} ${path} ${JSON.stringify(planned)}`;
    if (!keys.has(confirmed)) keys.set(confirmed, api.newKey());
    fill($("plan"), el("p", { class: "muted" }, say("starting")));
    try {
      const job = await api.post(path, planned, keys.get(confirmed));
      keys.delete(confirmed);
      if (mine === turn) $("ask").close();
      onStarted(job);
    } catch (failure) {
      // 502 and 504 are a proxy's words for no answer.
      const lost = failure instanceof api.Away || [502, 504].includes(failure.status);
      if (!lost) keys.delete(confirmed);
      if (mine !== turn) return;
      // Nobody has answered: the plan still holds, and may be confirmed again.
      fill($("plan"), ...(lost ? shown : []));
      $("askYes").disabled = !lost;
      refuse(failure);
    }
    $("askPlan").disabled = false;
  };
  $("askPlan").onclick = showPlan;
  $("askYes").onclick = act;
  $("askNo").onclick = () => $("ask").close();
  // The plan is that of what was chosen.
  $("askFields").onchange = () => { turn += 1; $("askYes").disabled = true; $("askPlan").disabled = false; fill($("plan")); };
  $("ask").onclose = () => { turn += 1; };
  $("askForm").onsubmit = (event) => { event.preventDefault(); if (!$("askPlan").disabled) showPlan(); };
  $("ask").showModal();
  if (!fields.length) showPlan();
}

function planLines(plan) {
  const line = (word, value, kind = "") => el("li", { class: kind }, el("b", {}, say(word)), el("span", { lang: "en" }, value));
  const lines = [
    ...plan.affects.map((one) => line("affects", `${one.name} ${one.change}.`)),
    ...plan.expected.map((one) => line("expected", one)),
    ...plan.risks.map((one) => line("risk", one, "risk")),
    ...plan.refusals.map((one) => line("refused", one, "refused")),
  ];
  const nothing = !plan.affects.length && !plan.refusals.length ? [el("p", { class: "muted" }, say("nothing"))] : [];
  return [el("p", { class: "message", lang: "en" }, plan.message), el("ul", {}, ...lines), ...nothing];
}

