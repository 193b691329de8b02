// The page of one lab: loads what is there, then follows the events of the server.

import { keepOpen, seat } from "./api.js";
import { find } from "./dom.js";
import { Exercise } from "./exercise.js";
import { showJobs } from "./jobs.js";
import { Rack } from "./rack.js";
import { taskEvent } from "./task.js";
import { Terminals } from "./terminals.js";

const REDRAW = 5000; // milliseconds

function connection(text, bad) {
  const node = find("connection");
  node.textContent = text;
  node.classList.toggle("bad", bad);
}

function away(problem) {
  if (!problem) return "";
  return [problem.message, ...problem.evidence.slice(-1), problem.hint && `Type: ${problem.hint}`]
    .filter(Boolean).join(". ");
}

async function begin() {
  let found;
  try {
    found = await seat();
  } catch (problem) {
    connection(away(problem.error) || String(problem), true);
    setTimeout(begin, 3000);
    return;
  }
  find("lab-name").textContent = found.lab;
  document.title = `${found.lab} – Rackling`;
  const terminals = new Terminals(found);
  const exercise = new Exercise();
  const rack = new Rack(terminals);
  await exercise.load();
  let last = null;
  setInterval(() => last && showJobs(last), REDRAW); // bars of running jobs grow without news
  const on = {
    status: (event) => {
      last = event;
      connection(away(event.away), Boolean(event.away));
      rack.show(event);
      showJobs(event);
    },
    task: (event) => {
      taskEvent(event);
      exercise.task(event);
      rack.task(event);
    },
  };
  keepOpen("/events", {
    message: (data) => { const event = JSON.parse(data); on[event.kind]?.(event); },
    lost: () => connection("The connection to lab web is lost; trying again. Your shells go on.", true),
    open: () => connection("", false),
  });
}

begin();
