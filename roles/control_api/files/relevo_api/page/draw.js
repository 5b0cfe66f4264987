// What is drawn: a line of the lag, and the time line of the backups. SVG made of elements, so that no text is ever taken for markup.
import { language, moment, say } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const KINDS = { completo: "full", diferencial: "diff", incremental: "incr" };
export const kind = (record) => KINDS[record.tipo_backup] ?? "incr";
// When it ended, in UTC; the date and the time of its label are those of the repository host's clock, and only text here.
export const when = (record) => Date.parse(record.terminado);

// A full backup is a circle, a differential a diamond, an incremental a small square: told apart without colour.
export function mark(what, x, y, size = 1) {
  const attributes = { class: `mark-${what}` };
  if (what === "full") return svg("circle", { ...attributes, cx: x, cy: y, r: 7 * size });
  if (what === "diff") return svg("path", { ...attributes, d: `M${x} ${y - 7 * size} l${7 * size} ${7 * size} l${-7 * size} ${7 * size} l${-7 * size} ${-7 * size} z` });
  return svg("rect", { ...attributes, x: x - 4 * size, y: y - 4 * size, width: 8 * size, height: 8 * size, rx: 2 });
}

// What its last drill said, below a backup: a tick or a cross.
export function drillMark(well, x, y) {
  const d = well ? `M${x - 4} ${y} l3 3 l6 -6` : `M${x - 3} ${y - 3} l6 6 M${x + 3} ${y - 3} l-6 6`;
  return svg("path", { class: well ? "drilled" : "drill-failed", d });
}

export function spark(values, label) {
  const most = Math.max(1, ...values);
  const points = values.map((value, i) => `${(112 * i) / 59},${(31 - (28 * value) / most).toFixed(1)}`);
  return svg("svg", { class: "spark", viewBox: "0 0 112 34", role: "img", "aria-label": label },
    svg("line", { x1: 0, x2: 112, y1: 33, y2: 33 }),
    svg("path", { d: points.length > 1 ? `M${points.join(" L")}` : "" }));
}

export function timeline(records, window, holes, width) {
  const newest = Math.max(...records.map(when), window ? Date.parse(window.until) : 0);
  const oldest = Math.min(...records.map(when), window ? Date.parse(window.from) : Infinity);
  const span = Math.max(newest - oldest, 3600e3);
  const edge = 14;
  const x = (time) => edge + ((width - 2 * edge) * (time - oldest)) / span;
  const picture = svg("svg", {
    viewBox: `0 0 ${width} 96`, role: "img",
    "aria-label": say("backupsTimeline", { n: records.length, from: moment(oldest), until: moment(newest) }),
  });
  if (window) {
    const [from, until] = [x(Date.parse(window.from)), x(Date.parse(window.until))];
    picture.append(svg("rect", { class: "window", x: from, y: 50, width: Math.max(2, until - from), height: 14, rx: 3 }));
    for (const place of [from, until]) picture.append(svg("line", { class: "window-edge", x1: place, x2: place, y1: 47, y2: 67 }));
    // What is known of a hole is that it is there; the newest stretch, which is shown, begins after it.
    if (holes.length) picture.append(svg("rect", { class: "hole", x: Math.max(0, from - 10), y: 50, width: 6, height: 14, rx: 2 }));
  }
  picture.append(svg("line", { class: "axis", x1: 0, x2: width, y1: 74, y2: 74 }));
  const places = new Map(records.map((record) => [record.etiqueta, x(when(record))]));
  for (const record of records) {
    const [here, base] = [places.get(record.etiqueta), places.get(record.previo)];
    if (base !== undefined) picture.append(svg("path", { class: "mark-needs", d: `M${base} 26 Q${(base + here) / 2} ${Math.max(2, 26 - (here - base) / 3)} ${here} 26` }));
  }
  for (const record of records) {
    const drawn = mark(kind(record), places.get(record.etiqueta), 26);
    drawn.append(svg("title", {}, document.createTextNode(`${say(kind(record))}, ${record.fecha} ${record.hora}`)));
    picture.append(drawn);
    if (record.verificado) picture.append(drillMark(record.resultado === "correcto", places.get(record.etiqueta), 41));
  }
  for (const [time, anchor, place] of [[oldest, "start", 0], [newest, "end", width]]) {
    const text = svg("text", { x: place, y: 91, "text-anchor": anchor });
    text.append(new Date(time).toLocaleString(language(), { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }));
    picture.append(text);
  }
  return picture;
}
