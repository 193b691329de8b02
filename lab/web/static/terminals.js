// Terminals in tabs. The server holds the shells: what is drawn here is only what it shows of them.

import { ask } from "./api.js";
import { el, find } from "./dom.js";
import { Screen } from "./screen.js";
import { attempt } from "./task.js";

export class Terminals {
  constructor(seat) {
    this.tabs = new Map();
    this.users = Object.fromEntries(seat.nodes.map((node) => [node.name, node.user]));
    const nodes = find("terminal-node");
    nodes.append(...seat.nodes.map((node) => el("option", {}, node.name)));
    find("terminal-user").append(...seat.users.map((user) => el("option", {}, user)));
    nodes.addEventListener("change", () => { find("terminal-user").value = this.users[nodes.value]; });
    find("terminal-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.open(nodes.value, "shell", find("terminal-user").value);
    });
    find("terminal-tabs").addEventListener("keydown", (event) => this.arrows(event));
    document.addEventListener("open-terminal", ({ detail }) => this.open(detail.node, detail.kind));
    for (const terminal of seat.terminals) this.add(terminal);
    const last = [...this.tabs.keys()].at(-1);
    if (last) this.select(last, false);
  }

  async open(node, kind, user = this.users[node]) {
    const terminal = await attempt(() => ask("POST", "/api/terminals", { node, kind, user }));
    if (!terminal) return;
    this.add(terminal);
    this.select(terminal.id, true);
    find("terminals").scrollIntoView({ block: "nearest" });
  }

  add(terminal) {
    const id = terminal.id;
    const tab = el("button", {
      type: "button", role: "tab", id: `tab-${id}`, "aria-controls": `pane-${id}`, "aria-selected": "false", tabindex: "-1",
      onclick: () => this.select(id, true),
    }, terminal.title);
    const close = el("button", { type: "button", class: "close", onclick: () => this.close(id) },
      `Close ${terminal.title}`);
    const place = el("div", { class: "screen" });
    const pane = el("div", { role: "tabpanel", id: `pane-${id}`, "aria-labelledby": `tab-${id}`, hidden: true }, place, close);
    find("terminal-tabs").append(tab);
    find("terminal-panes").append(pane);
    const screen = new Screen(place, terminal, {
      again: () => this.again(id, terminal),
      note: (text) => { if (this.selected === id) find("terminal-note").textContent = text; },
    });
    this.tabs.set(id, { tab, pane, screen, terminal });
  }

  select(id, focus) {
    this.selected = id;
    find("terminal-note").textContent = "";
    for (const [name, { tab, pane, screen }] of this.tabs) {
      const chosen = name === id;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      pane.hidden = !chosen;
      if (chosen) screen.show(focus);
    }
  }

  arrows(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const ids = [...this.tabs.keys()];
    const next = ids[(ids.indexOf(this.selected) + step + ids.length) % ids.length];
    this.select(next, false);
    this.tabs.get(next).tab.focus();
  }

  async again(id, terminal) {
    await this.close(id);
    await this.open(terminal.node, terminal.kind, terminal.user);
  }

  async close(id) {
    const found = this.tabs.get(id);
    if (!found) return;
    this.tabs.delete(id);
    found.screen.close();
    found.tab.remove();
    found.pane.remove();
    await attempt(() => ask("DELETE", `/api/terminals/${id}`));
    const last = [...this.tabs.keys()].at(-1);
    if (last && this.selected === id) this.select(last, false);
  }
}
