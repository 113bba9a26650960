// What the events of `tidemark dev` say of the operator processes.
import { watched } from "./watched.mjs";

/**
 * @typedef {object} Operators
 * @property {number} records processed, over all generations
 * @property {number | null} checkpoint the last complete one
 * @property {Set<number>} checkpoints all that were seen complete
 * @property {boolean} idle all input is read and processed
 * @property {number | null} started pid of the process that began a session last
 * @property {number | null} flowing pid of the process that takes records
 * @property {number} generation of that process; each crash begins a new one
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
      started: null,
      flowing: null,
      generation: 0,
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
      // 0 until a new generation has said how far it is.
      if (event.records > 0) state.records = event.records;
      state.idle = event.idle;
      if (event.checkpoint !== null) state.checkpoints.add(event.checkpoint);
      state.checkpoint = event.checkpoint;
      break;
    case "session":
      onSession(state, event);
      break;
    case "log":
      onLog(state, event.line);
      break;
    case "end":
      state.end = event.status;
      break;
  }
}

function onSession(state, { state: what, pid }) {
  if (what === "started") {
    state.started = pid;
    return;
  }
  if (what === "killed") state.killed.add(pid);
  if (state.flowing === pid) state.flowing = null;
}

/** Sessions log events with fields: that they take records, and how they ended. */
function onLog(state, line) {
  if (!line.startsWith("{")) return;
  const logged = JSON.parse(line);
  if (logged.event === "flowing") {
    state.flowing = state.started;
    state.generation = logged.generation;
  }
  if (logged.event === "session" && logged.outcome?.kind === "handover") state.handovers += 1;
}
