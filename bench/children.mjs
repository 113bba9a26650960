// Processes of a benchmark: each run has one of its own, bounded in time, and none outlives the whole.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const running = new Set();

function killAll() {
  for (const child of running) child.kill("SIGKILL");
}

/**
 * Runs a script of this folder to its end and reads the last line that it wrote as JSON.
 *
 * @param {string} script from this folder
 * @param {{ args?: string[], nodeArgs?: string[], env?: Record<string, string>, timeoutMs: number }} options
 * @throws Error where it fails, says nothing, or takes too long
 */
export async function runScript(script, { args = [], nodeArgs = [], env = {}, timeoutMs }) {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const child = spawn(process.execPath, [...nodeArgs, path, ...args], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (running.size === 0) process.once("exit", killAll);
  running.add(child);
  let [out, complaints] = ["", ""];
  child.stdout.on("data", (bytes) => {
    out += bytes;
  });
  child.stderr.on("data", (bytes) => {
    complaints += bytes;
  });
  const late = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  const [code, signal] = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (...how) => resolve(how));
  });
  clearTimeout(late);
  running.delete(child);
  if (running.size === 0) process.off("exit", killAll);
  if (code !== 0) throw new Error(`${script} ended with ${signal ?? code}:\n${complaints.trim() || out.trim()}`);
  return JSON.parse(out.trim().split("\n").at(-1) ?? "");
}
