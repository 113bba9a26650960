// Child processes that end with the demo, however it ends.
import { fork, spawn } from "node:child_process";
import { createInterface } from "node:readline";

const stderrLinesKept = 20;
/** A pipeline stops at a checkpoint, which takes a second or two, and its time-out at most. */
const patienceMs = 15_000;

/**
 * @typedef {object} Child
 * @property {number} pid
 * @property {import("node:child_process").ChildProcess} process
 * @property {Promise<number | null>} ended the exit code; null where a signal ended it
 * @property {() => string} complaints the last lines of its standard error
 * @property {() => boolean} isAskedToEnd
 * @property {() => Promise<number | null>} end asks it to end and waits for it, but not for long
 */

/**
 * Starts processes, and ends those that are left. Each leads a process group of its own: Ctrl-C reaches the demo alone, which ends them
 * in order, and what a process has started in its turn can be ended with it.
 */
export function openProcesses() {
  const running = new Set();
  const killAll = () => {
    for (const child of running) killGroup(child.pid);
  };
  process.once("exit", killAll);

  const keep = (child) => {
    const kept = watch(child);
    running.add(kept);
    kept.ended.then(() => {
      running.delete(kept);
      // One that was killed from outside leaves behind what it had started.
      killGroup(kept.pid);
    });
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
    /** Ends what still runs, the last one first: it may need what was there before it. */
    async close() {
      for (const child of [...running].reverse()) await child.end();
      process.off("exit", killAll);
    },
  };
}

/** An end that nobody asked for ends the whole. */
export function failWith(stop, name, child) {
  child.ended.then((code) => {
    if (child.isAskedToEnd()) return;
    const how = code === null ? "was killed" : `ended by itself with exit code ${code}`;
    stop.abort(new Error(`${name} ${how}\n${child.complaints()}`.trimEnd()));
  });
}

function watch(child) {
  const lines = [];
  createInterface({ input: child.stderr }).on("line", (line) => {
    lines.push(line);
    if (lines.length > stderrLinesKept) lines.shift();
  });
  const ended = new Promise((resolve) => {
    child.once("error", () => resolve(null));
    child.once("close", (code) => resolve(code));
  });
  let asked = false;
  const end = async () => {
    asked = true;
    const impatient = setTimeout(() => killGroup(child.pid), patienceMs);
    child.kill("SIGINT");
    const code = await ended;
    clearTimeout(impatient);
    return code;
  };
  return { pid: child.pid, process: child, ended, complaints: () => lines.join("\n"), isAskedToEnd: () => asked, end };
}

function killGroup(pid) {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
}
