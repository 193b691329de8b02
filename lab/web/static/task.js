// What is being done to the lab: begins it, asks before anything is lost, and shows how it goes.

import { ask, Refused } from "./api.js";
import { el, find, redraw } from "./dom.js";

export function showError(error) {
  redraw(find("task"), el("div", { class: "problem" },
    el("p", {}, el("strong", {}, error.message)),
    error.evidence.length ? el("pre", { tabindex: "0" }, error.evidence.join("\n")) : null,
    error.hint ? el("p", {}, "Next: ", el("code", {}, error.hint)) : null));
}

// Runs something that a user asked for; what is refused is shown.
export async function attempt(work) {
  try {
    return await work();
  } catch (problem) {
    if (!(problem instanceof Refused)) throw problem;
    showError(problem.error);
    return null;
  }
}

export function agree(text) {
  const dialog = find("ask");
  find("ask-text").textContent = text;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

const ASKS = ["start", "reset", "reset-node", "power-off", "power-cycle"];

export function act(action, name = "") {
  return attempt(async () => {
    if (ASKS.includes(action)) {
      const { question } = await ask("POST", "/api/question", { action, name });
      if (!(await agree(`${question} Continue?`))) return;
    }
    await ask("POST", "/api/do", { action, name });
  });
}

export function taskEvent(event) {
  if (event.state === "running") {
    redraw(find("task"), el("p", { class: "running" }, `${event.title}…`),
      event.lines.length ? el("p", { class: "small" }, event.lines.at(-1)) : null);
  } else if (event.state === "done") {
    redraw(find("task"), el("p", { class: "told" }, event.told),
      event.start ? el("button", { type: "button", onclick: () => act("start", event.start) }, "Start it") : null);
  } else if (event.state === "failed") {
    showError(event.error);
  }
}
