import { type SpawnOptions, spawn } from "node:child_process";

export interface Ran {
  readonly code: number | null;
  /** Standard output and error, as they came. */
  readonly output: string;
}

/** Runs a command to its end. That there is no such command is an end too, without a code. */
export function run(command: string, args: readonly string[], options: SpawnOptions = {}): Promise<Ran> {
  const child = spawn(command, [...args], { ...options, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
    });
  return new Promise((resolve) => {
    child.once("error", (error) => resolve({ code: null, output: String(error) }));
    child.once("close", (code) => resolve({ code, output }));
  });
}

const tailLines = 30;
export const tailOf = (text: string): string => text.trimEnd().split("\n").slice(-tailLines).join("\n");

/** @throws Error with the end of its output, where it does not end with 0 */
export async function mustRun(command: string, args: readonly string[], options: SpawnOptions = {}): Promise<string> {
  const { code, output } = await run(command, args, options);
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code}:\n${tailOf(output)}`);
  return output;
}

interface ProcessLine {
  readonly pid: number;
  readonly parent: number;
}

/** Those that run: one that has ended, and whose end nobody has asked for, is none. */
async function processes(): Promise<readonly ProcessLine[]> {
  const lines = (await mustRun("ps", ["-eo", "pid=,ppid=,stat="])).trim().split("\n");
  return lines.flatMap((line) => {
    const [pid, parent, state = "Z"] = line.trim().split(/\s+/);
    return state.startsWith("Z") ? [] : [{ pid: Number(pid), parent: Number(parent) }];
  });
}

/** A process and all that descend from it, as far as they run. */
export async function familyOf(ancestor: number): Promise<readonly number[]> {
  const all = await processes();
  const found = new Set([ancestor]);
  for (let before = 0; before < found.size; ) {
    before = found.size;
    for (const { pid, parent } of all) if (found.has(parent)) found.add(pid);
  }
  return [...found];
}

export async function runningOf(pids: readonly number[]): Promise<readonly number[]> {
  const all = new Set((await processes()).map(({ pid }) => pid));
  return pids.filter((pid) => all.has(pid));
}
