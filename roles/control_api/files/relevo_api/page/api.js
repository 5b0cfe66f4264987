// The API as the page sees it. The token stays in this tab.
const KEY = "relevo-token";
export const token = () => sessionStorage.getItem(KEY);
export const keep = (word) => sessionStorage.setItem(KEY, word);
export const forget = () => sessionStorage.removeItem(KEY);

// The API does not answer at all, which is not the same as that it refuses.
export class Away extends Error {}
export class Refused extends Error {
  constructor(status, problem) { super(problem.detail ?? String(status)); this.status = status; this.problem = problem; }
}

async function ask(path, options = {}) {
  const headers = { Authorization: `Bearer ${token()}`, ...options.headers };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers, cache: "no-store" });
  } catch (failure) {
    if (failure.name === "AbortError") throw failure;
    throw new Away(failure.message);
  }
  if (answer.ok) return answer;
  throw new Refused(answer.status, await answer.json().catch(() => ({})));
}

export const get = async (path) => (await ask(path, { signal: AbortSignal.timeout(310000) }).catch((failure) => {
  if (failure.name === "TimeoutError" || failure.name === "AbortError") throw new Away("timeout");
  throw failure;
})).json();

// Who asks again with the same key, since the answer was lost, starts nothing twice.
export const newKey = () => crypto.randomUUID?.() ?? String(Math.random());
export const post = async (path, body, key) => (await ask(path, {
  method: "POST", body: JSON.stringify(body),
  headers: { "Content-Type": "application/json", ...(key ? { "Idempotency-Key": key } : {}) },
})).json();

// The events of a job, from the last that was seen, until it has ended; takes up again where it was cut off.
export async function follow(id, onEvent, signal) {
  let last = 0;
  for (;;) {
    try {
      const answer = await ask(`/v1/jobs/${id}/events`, { signal, headers: { "Last-Event-ID": String(last) } });
      for await (const event of eventsIn(answer.body)) {
        if (signal.aborted) return;
        if (event.id) last = event.id;
        onEvent(event.kind, event.data);
        if (event.kind === "end") return;
      }
    } catch (failure) {
      if (signal.aborted || failure instanceof Refused) return;
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
    if (signal.aborted) return;
  }
}

async function* eventsIn(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const whole = rest.split("\n\n");
    rest = whole.pop();
    for (const block of whole) {
      const fields = Object.fromEntries(block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
      if (fields.data) yield { id: Number(fields.id ?? 0), kind: fields.event, data: JSON.parse(fields.data) };
    }
  }
}
