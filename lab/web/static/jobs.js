// The jobs of Slurm: a timeline with a lane for each node, and the same as a table.

import { el, find, redraw, svg } from "./dom.js";

const LANE = 22;
const LEFT = 70;
const WIDTH = 640;
const SHOWN = 60; // rows of the table
const LEAST = 60; // seconds that the timeline shows at least
export const LIVE = ["running", "completing", "suspended"];

const clock = (seconds) => (seconds ? new Date(seconds * 1000).toLocaleTimeString() : "");

export function showJobs(event) {
  const jobs = event.jobs;
  find("jobs-note").textContent = event.trouble ? `Jobs cannot be read: ${event.trouble}` : jobs.length ? "" : "No jobs yet.";
  const lanes = event.nodes.filter((node) => node.role === "compute").map((node) => node.node);
  redraw(find("timeline"), jobs.length ? timeline(jobs, lanes) : null);
  redraw(find("jobs-table"), jobs.length ? table(jobs) : null);
}

function spans(jobs) {
  const now = Date.now() / 1000;
  return jobs.filter((job) => job.started && job.state !== "pending")
    .map((job) => ({ job, from: job.started, to: LIVE.includes(job.state) || !job.ended ? now : job.ended }));
}

function timeline(jobs, lanes) {
  const found = spans(jobs);
  const to = Date.now() / 1000;
  const from = Math.min(to - LEAST, ...found.map((span) => span.from));
  const x = (time) => LEFT + ((time - from) / (to - from)) * (WIDTH - LEFT - 4);
  const height = lanes.length * LANE + 20;
  const rows = lanes.flatMap((name, at) => [
    svg("text", { x: 4, y: at * LANE + 15, class: "lane" }, name),
    svg("line", { x1: LEFT, x2: WIDTH, y1: at * LANE + LANE - 1, y2: at * LANE + LANE - 1, class: "rule" }),
  ]);
  const bars = found.flatMap(({ job, from: start, to: end }) => job.nodes.filter((name) => lanes.includes(name)).map((name) => {
    const width = Math.max(3, x(end) - x(start));
    return svg("g", { class: `bar ${job.state}` },
      svg("rect", { x: x(start), y: lanes.indexOf(name) * LANE + 3, width, height: LANE - 6, rx: 3 }),
      svg("title", {}, `job ${job.id} ${job.name}, ${job.user}, ${job.state}`),
      width > 30 ? svg("text", { x: x(start) + 4, y: lanes.indexOf(name) * LANE + 15 }, job.id) : null);
  }));
  const ends = [
    svg("text", { x: LEFT, y: height - 4, class: "lane" }, clock(from)),
    svg("text", { x: WIDTH - 4, y: height - 4, class: "lane", "text-anchor": "end" }, clock(to)),
  ];
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": `Timeline of ${found.length} jobs; the table below has the same` },
    rows, bars, ends);
}

function table(jobs) {
  const heads = ["Job", "Name", "User", "State", "Nodes", "Start", "End"];
  const rows = jobs.slice(-SHOWN).reverse().map((job) =>
    el("tr", {}, [job.id, job.name, job.user, job.state, job.nodes.join(" "), clock(job.started), LIVE.includes(job.state) ? "" : clock(job.ended)]
      .map((text) => el("td", {}, text))));
  return el("table", {},
    el("caption", { class: "hidden" }, "Jobs, the newest first"),
    el("thead", {}, el("tr", {}, heads.map((text) => el("th", { scope: "col" }, text)))), el("tbody", {}, rows));
}
