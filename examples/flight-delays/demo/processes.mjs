// Child processes that end with the demo, however it ends.
import { fork, spawn } from "node:child_process";
import { createInterface } from "node:readline";

const stderrLinesKept = 20;

/**
 * @typedef {object} Child
 * @property {number} pid
 * @property {import("node:child_process").ChildProcess} process
 * @property {Promise<number | null>} ended the exit code; null where a signal ended it
 * @property {() => string} complaints the last lines of its standard error
 */

/** Starts and remembers processes. Of a process group of their own, so that Ctrl-C reaches the demo alone, which ends them in order. */
export function openProcesses() {
  const running = new Set();
  const killAll = () => {
    for (const { process: child } of running) child.kill("SIGKILL");
  };
  process.once("exit", killAll);

  const keep = (child) => {
    const lines = [];
    if (child.stderr !== null)
      createInterface({ input: child.stderr }).on("line", (line) => {
        lines.push(line);
        if (lines.length > stderrLinesKept) lines.shift();
      });
    const ended = new Promise((resolve) => {
      child.once("error", () => resolve(null));
      child.once("close", (code) => resolve(code));
    });
    const kept = { pid: child.pid ?? 0, process: child, ended, complaints: () => lines.join("\n") };
    running.add(kept);
    ended.then(() => running.delete(kept));
    return kept;
  };

  return {
    /** A node process of which each line on standard output is told. @returns {Child} */
    spawn(args, { env, onLine }) {
      const stdio = ["ignore", "pipe", "pipe"];
      const child = spawn(process.execPath, args, { env: { ...process.env, ...env }, stdio, detached: true });
      createInterface({ input: child.stdout }).on("line", onLine);
      return keep(child);
    },
    /** A node process that messages are exchanged with. @returns {Child} */
    fork(path, { env, onMessage }) {
      const stdio = ["ignore", "ignore", "pipe", "ipc"];
      const child = fork(path, [], { env: { ...process.env, ...env }, stdio, detached: true });
      child.on("message", onMessage);
      return keep(child);
    },
    /** Nothing runs any more when it resolves. */
    async close() {
      killAll();
      await Promise.all([...running].map(({ ended }) => ended));
      process.off("exit", killAll);
    },
  };
}

/** Asks a process to end, and no longer asks after `patienceMs`. */
export async function end(child, signal, patienceMs) {
  const impatient = setTimeout(() => child.process.kill("SIGKILL"), patienceMs);
  child.process.kill(signal);
  const code = await child.ended;
  clearTimeout(impatient);
  return code;
}
