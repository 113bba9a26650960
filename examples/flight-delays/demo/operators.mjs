// What the events of `tidemark dev` say of the operator processes.
import { watched } from "./watched.mjs";

/**
 * @typedef {object} Operators
 * @property {number} records processed, over all generations
 * @property {number | null} checkpoint the last complete one
 * @property {Set<number>} checkpoints all that were seen complete
 * @property {boolean} idle all input is read and processed
 * @property {number} tasks that the pipeline has
 * @property {number} generation the newest of which a record was taken; each crash begins a new one
 * @property {Map<number, string>} flowing tasks of that generation which take records, by the pid of their process
 * @property {Set<number>} killed
 * @property {number} handovers sessions that ended in order and passed on their state
 * @property {string | null} end the status that `dev` ended with
 */

export const watchOperators = (signal) =>
  watched(
    {
      records: 0,
      checkpoint: null,
      checkpoints: new Set(),
      idle: false,
      tasks: 0,
      generation: 0,
      flowing: new Map(),
      killed: new Set(),
      handovers: 0,
      end: null,
    },
    signal,
  );

/** @param {Operators} state */
export function onEvent(state, event) {
  switch (event.event) {
    case "status":
      state.records = event.records;
      state.idle = event.idle;
      state.tasks = event.tasks;
      if (event.checkpoint !== null) state.checkpoints.add(event.checkpoint);
      state.checkpoint = event.checkpoint;
      break;
    case "session":
      onSession(state, event);
      break;
    case "log":
      onLog(state, event);
      break;
    case "end":
      state.end = event.status;
      break;
  }
}

function onSession(state, { state: what, pid }) {
  if (what === "started") return;
  if (what === "killed") state.killed.add(pid);
  state.flowing.delete(pid);
}

/** Sessions log events with fields: that they take records, and how they ended. */
function onLog(state, { line, pid }) {
  if (!line.startsWith("{")) return;
  const logged = JSON.parse(line);
  if (logged.event === "flowing" && logged.generation >= state.generation) {
    if (logged.generation > state.generation) state.flowing.clear();
    state.generation = logged.generation;
    state.flowing.set(pid, logged.task);
  }
  if (logged.event === "session" && logged.outcome?.kind === "handover") state.handovers += 1;
}
