// Writes an exercise's text: blocks of plain data become elements, commands get a button that copies them.

import { el } from "./dom.js";

const INLINE = { text: null, code: "code", strong: "strong", em: "em" };
const WHERE = { host: "on this host" };

const HERE = /^lab (shell|console) ([a-z][a-z0-9-]*)( -f)?$/; // what a tab of the page shows as well

const opened = (node, kind) =>
  document.dispatchEvent(new CustomEvent("open-terminal", { detail: { node, kind } }));

function words(parts) {
  return parts.map(([kind, text]) => (INLINE[kind] ? el(INLINE[kind], {}, text) : document.createTextNode(text)));
}

function code(block) {
  const pre = el("pre", { tabindex: "0" }, el("code", {}, block.text));
  if (block.output) return el("figure", { class: "output" }, el("figcaption", {}, "It prints"), pre);
  const copy = el("button", { type: "button", class: "copy", onclick: () => copied(copy, block.text) }, "Copy");
  const place = HERE.exec(block.text);
  const open = place && block.where === "host"
    ? el("button", { type: "button", class: "copy", onclick: () => opened(place[2], place[1]) }, "Open here")
    : null;
  const where = block.where ? (WHERE[block.where] ?? `on ${block.where}`) : "";
  return el("figure", { class: "command" }, el("figcaption", {}, where, " ", el("span", {}, open, " ", copy)), pre);
}

async function copied(button, text) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not copied";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

function heading(block, held) {
  const tag = `h${Math.min(6, block.level + 1)}`;
  const title = block.parts.map(([, text]) => text).join("");
  const node = el(tag, {}, words(block.parts));
  if (held.has(title)) node.append(tick(held.get(title)));
  return node;
}

export function tick(held) {
  const label = held ? "done" : "not done yet";
  return el("span", { class: held ? "tick held" : "tick", role: "img", "aria-label": label }, held ? " ✓" : " ○");
}

const KINDS = {
  heading,
  code,
  paragraph: (block) => el("p", {}, words(block.parts)),
  list: (block) => el(block.ordered ? "ol" : "ul", {}, block.items.map((item) => el("li", {}, words(item)))),
  table: (block) =>
    el("table", {},
      el("thead", {}, el("tr", {}, block.head.map((cell) => el("th", { scope: "col" }, words(cell))))),
      el("tbody", {}, block.rows.map((row) => el("tr", {}, row.map((cell) => el("td", {}, words(cell))))))),
};

// `held`: titles of steps, and whether their checks have held.
export function write(blocks, held = new Map()) {
  return blocks.map((block) => KINDS[block.kind](block, held));
}
