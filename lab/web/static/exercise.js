// The exercise: which one, its text with steps that tick, its hints, and what the last check found.

import { ask } from "./api.js";
import { el, find, redraw } from "./dom.js";
import { act, attempt } from "./task.js";
import { tick, write } from "./text.js";

const OUTCOMES = { passed: "holds", failed: "does not hold yet", blocked: "waits for another check", broken: "could not be run" };
const AGAIN = 1100; // milliseconds
const MARKS = { passed: "✓", failed: "✗", blocked: "○", broken: "!" };

export class Exercise {
  constructor() {
    this.judgement = null;
    this.busy = false;
    this.again = 0;
  }

  async load(course) {
    const found = course ?? (await attempt(() => ask("GET", "/api/course")));
    if (!found) return;
    if (this.judgement && this.judgement.exercise !== found.current?.name) this.judgement = null;
    this.course = found;
    this.draw();
  }

  task(event) {
    const ended = event.state === "done" || event.state === "failed";
    this.busy = !ended;
    this.hold();
    if (!ended) return;
    if (event.judgement) this.judgement = event.judgement;
    this.again = Date.now() + AGAIN; // the server takes the same again only then
    setTimeout(() => this.hold(), AGAIN);
    this.load();
  }

  hold() {
    const held = this.busy || Date.now() < this.again;
    for (const button of find("exercise-actions").querySelectorAll("button")) button.disabled = held;
  }

  draw() {
    const current = this.course.current;
    find("exercise-title").textContent = current ? current.title : "Choose an exercise";
    redraw(find("exercise-actions"), current ? this.buttons() : null, this.choice(current));
    this.hold();
    if (!current) {
      redraw(find("exercise-text"));
      return;
    }
    const held = new Map(current.steps.map((step) => [step.title, step.held]));
    const blocks = current.blocks.filter((block, at) => at > 0 || block.kind !== "heading");
    redraw(find("exercise-text"), this.steps(current), this.findings(), ...write(blocks, held));
  }

  buttons() {
    const make = (text, action) => el("button", { type: "button", "data-key": action, onclick: () => act(action) }, text);
    return [make("Check", "check"), make("Reset", "reset"), make("Next", "next")];
  }

  choice(current) {
    const groups = this.course.chapters.map((chapter) =>
      el("optgroup", { label: chapter.title }, chapter.exercises.map((exercise) =>
        el("option", { value: exercise.name, selected: exercise.name === current?.name },
          `${exercise.state === "solved" ? "✓ " : ""}${exercise.title} (${exercise.minutes} min)`))));
    const select = el("select", { "aria-label": "Exercise", "data-key": "choice" }, groups);
    const start = el("button", { type: "button", "data-key": "start", onclick: () => act("start", select.value) }, "Start");
    return el("span", { class: "choice" }, select, " ", start);
  }

  steps(current) {
    const items = current.steps.map((step) => el("li", {}, step.title, tick(step.held), this.hints(step)));
    return el("ol", { class: "steps", "aria-label": "Steps" }, items);
  }

  hints(step) {
    const shown = step.hints.map((blocks, at) =>
      el("details", { open: at === step.hints.length - 1 },
        el("summary", {}, `Hint ${at + 1} of ${step.hints_in_all}`), write(blocks)));
    const more = step.hints.length < step.hints_in_all
      ? el("button", {
          type: "button", class: "hint", "data-key": `hint-${step.id}`,
          "aria-label": `Hint for the step ${step.title}`,
          onclick: async () => this.load(await attempt(() => ask("POST", "/api/hint", { step: step.id }))),
        }, "Hint")
      : null;
    return [" ", more, ...shown];
  }

  findings() {
    if (!this.judgement) return null;
    const rows = this.judgement.steps.flatMap((step) => step.checks).map((check) =>
      el("li", { class: check.outcome },
        el("span", { role: "img", "aria-label": OUTCOMES[check.outcome] }, MARKS[check.outcome]), " ", check.sentence,
        check.outcome === "failed" ? this.evidence(check) : null));
    return el("section", { class: "findings", "aria-label": "What the last check found" }, el("ul", {}, rows));
  }

  evidence(check) {
    const lines = [["expected", check.expected], ["found", check.actual], ["see it", check.look], ["think", check.hint]];
    return el("dl", {}, lines.filter(([, text]) => text).flatMap(([name, text]) =>
      [el("dt", {}, name), el("dd", {}, text.slice(0, 600), name === "see it" && check.node ? ` (on ${check.node})` : null)]));
  }
}
