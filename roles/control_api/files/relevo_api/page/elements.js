// Elements without markup: every text that comes from the API is put in as text.
import { say } from "./words.js";

export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== "" || ["required", "value"].includes(key)) made.setAttribute(key, value);
  made.append(...children.filter((one) => one !== null && one !== undefined));
  return made;
}

// Only what is different is replaced, so that nobody loses a selection, a focus or a reading position for nothing.
export function fill(parent, ...children) {
  const same = parent.childNodes.length === children.length && children.every((one, i) => one.isEqualNode?.(parent.childNodes[i]));
  if (!same) parent.replaceChildren(...children);
}

export function command(text) {
  const button = el("button", { type: "button", class: "quiet", "data-copy": text }, say("copy"));
  return el("p", { class: "command" }, el("code", { lang: "en" }, text), button);
}

// One listener for all of them: a list that is drawn again loses those of its parts.
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  await navigator.clipboard?.writeText(button.dataset.copy);
  button.textContent = say("copied");
  setTimeout(() => { button.textContent = say("copy"); }, 1500);
});
