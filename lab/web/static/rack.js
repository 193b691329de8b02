// The rack: one unit for each node with its power, boot stage, Slurm state and jobs; each opens its controls.

import { el, find, redraw } from "./dom.js";
import { LIVE } from "./jobs.js";
import { act } from "./task.js";

const LEDS = { ready: "ready", "not yet": "waiting", "set by operator": "operator", unknown: "unknown" };
const STAGES = ["pxe", "bootstrap", "vnfs", "files", "init"];
const ROLES = { sms: "head node", login: "login node", compute: "compute node", outside: "outside machine", client: "client", runner: "runner" };

export class Rack {
  constructor(terminals) {
    this.terminals = terminals;
    this.opened = "";
    this.busy = false;
    this.last = null;
  }

  task(event) {
    this.busy = event.state === "running";
    if (this.last) this.show(this.last);
  }

  show(event) {
    this.last = event;
    find("rack-note").textContent = event.trouble && event.nodes.length ? `Slurm: ${event.trouble}` : "";
    const jobs = event.jobs.filter((job) => LIVE.includes(job.state));
    redraw(find("rack-units"), event.nodes.map((node) =>
      this.unit(node, jobs.filter((job) => job.nodes.includes(node.node)))));
  }

  unit(node, jobs) {
    const open = this.opened === node.node;
    const off = node.power !== "on";
    const led = off ? "off" : LEDS[node.state];
    const evidence = node.evidence && node.evidence !== node.slurm ? `: ${node.evidence}` : "";
    const state = off ? `power ${node.power}` : `${node.state}${evidence}`;
    const face = el("button", {
      type: "button", class: "face", "data-key": `unit-${node.node}`, "aria-expanded": String(open),
      "aria-controls": `controls-${node.node}`,
      onclick: () => { this.opened = open ? "" : node.node; this.show(this.last); },
    },
      el("span", { class: `led ${led}`, "aria-hidden": "true" }),
      el("span", { class: "name" }, node.node),
      el("span", { class: "role" }, ` ${ROLES[node.role]}${node.gpus ? `, ${node.gpus} GPUs` : ""} `),
      off || node.stage === "init" ? null : this.stages(node),
      el("span", { class: "state" }, state),
      node.slurm ? el("span", { class: "slurm" }, ` Slurm ${node.slurm}`) : null,
      jobs.map((job) => el("span", { class: "job" }, ` job ${job.id} ${job.name} of ${job.user} `)));
    return el("li", { class: `unit ${node.role}${off ? " dark" : ""}`, "data-node": node.node, "data-power": node.power, "data-state": node.state },
      face, this.controls(node, open));
  }

  stages(node) {
    const at = STAGES.indexOf(node.stage);
    return el("span", { class: "stages" },
      STAGES.map((stage, number) => el("span", { class: number <= at ? "reached" : "", "aria-hidden": "true" })),
      ` ${node.stage || "starting"} `);
  }

  controls(node, open) {
    const off = node.power !== "on";
    const make = (text, onclick, disabled) =>
      el("button", { type: "button", "data-key": `${node.node}-${text}`, "aria-label": `${text}: ${node.node}`, disabled, onclick }, text);
    const power = (text, action, disabled) => make(text, () => act(action, node.node), disabled || this.busy);
    return el("div", { id: `controls-${node.node}`, class: "controls actions", hidden: !open },
      node.reason ? el("p", {}, `Reason in Slurm: ${node.reason}`) : null,
      make("Terminal", () => this.terminals.open(node.node, "shell"), off),
      make("Console", () => this.terminals.open(node.node, "console")),
      make("Journal", () => this.terminals.open(node.node, "journal"), off),
      power("Power on", "power-on", !off),
      power("Power off", "power-off", off),
      power("Power cycle", "power-cycle", off),
      power("Make anew", "reset-node", false));
  }
}
