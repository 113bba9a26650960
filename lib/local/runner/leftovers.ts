/**
 * Processes that outlive a runner which was killed: a frozen one cannot notice that its parent is gone. So a runner
 * writes down its processes, and the next one with the same file ends what is left of it: only what is provably ours,
 * since the kernel hands out process ids again.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { StreamError } from "../../model/errors.js";

/** What recognises a process: its start time differs from that of any later process with the same id. */
export interface ProcessMark {
  readonly pid: number;
  readonly startTime: string;
}

/** The content of the file. The command line of each child contains `bootstrap` and `runnerId`. */
export interface RunnerRecord {
  readonly format: 1;
  readonly runnerId: string;
  readonly bootstrap: string;
  readonly runner: ProcessMark;
  readonly children: readonly ProcessMark[];
}

export interface ProcessView {
  readonly startTime: string;
  readonly commandLine: string;
}

const leftoverWaitMsMax = 5_000;

/** The processes of a dead runner that are provably its own. Throws `invalid` where that runner is alive. */
export function chooseLeftovers(
  record: RunnerRecord,
  look: (pid: number) => ProcessView | null,
  file: string,
): readonly number[] {
  const { pid, startTime } = record.runner;
  if (look(pid)?.startTime === startTime)
    throw new StreamError(
      "invalid",
      `${file} is in use by a runner that is alive (pid ${pid}): end it, or use another`,
    );
  return record.children
    .filter((child) => {
      const found = look(child.pid);
      if (found === null || found.startTime !== child.startTime) return false;
      return found.commandLine.includes(record.bootstrap) && found.commandLine.includes(record.runnerId);
    })
    .map((child) => child.pid);
}

/** Ends what a dead predecessor left, and waits until it is gone. Returns the pids. */
export async function endLeftovers(file: string): Promise<readonly number[]> {
  const record = readRecord(file);
  if (record === null) return [];
  const leftovers = chooseLeftovers(record, viewProcess, file);
  for (const pid of leftovers) signalProcess(pid, "SIGKILL");
  const giveUpAtMs = Date.now() + leftoverWaitMsMax;
  while (leftovers.some((pid) => viewProcess(pid) !== null)) {
    if (Date.now() > giveUpAtMs)
      throw new StreamError("transient", `processes ${leftovers.join(", ")} of ${file} do not end`);
    await sleep(10);
  }
  rmSync(file, { force: true });
  return leftovers;
}

function readRecord(file: string): RunnerRecord | null {
  if (!existsSync(file)) return null;
  try {
    const record = JSON.parse(readFileSync(file, "utf8")) as RunnerRecord;
    if (record.format === 1 && Array.isArray(record.children)) return record;
  } catch (cause) {
    throw new StreamError("corrupt", `${file} cannot be read: look for left processes by hand and delete it`, {
      cause,
    });
  }
  throw new StreamError("corrupt", `${file} is not the process file of a runner: name another one`);
}

/** Null where there is no such process, or only its exit status is left (a zombie that nobody has collected). */
export function viewProcess(pid: number): ProcessView | null {
  return existsSync("/proc/self/stat") ? viewByProc(pid) : viewByPs(pid);
}

function viewByProc(pid: number): ProcessView | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const commandLine = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
    // proc(5): the second field is the name in parentheses, which may itself contain blanks and parentheses. State is
    // the third field, the start time in ticks since boot the 22nd.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state] = fields;
    const startTime = fields[19];
    return state === "Z" || state === "X" || startTime === undefined ? null : { startTime, commandLine };
  } catch {
    return null;
  }
}

function viewByPs(pid: number): ProcessView | null {
  try {
    const columns = ["-o", "stat=", "-o", "lstart=", "-o", "command="];
    const line = execFileSync("ps", ["-ww", ...columns, "-p", String(pid)], {
      encoding: "utf8",
      env: { ...process.env, LC_ALL: "C" },
      stdio: ["ignore", "pipe", "ignore"],
    });
    const found = /^\s*(?<state>\S+)\s+(?<startTime>\w+ +\w+ +\d+ [\d:]+ \d+)\s+(?<commandLine>.*)/.exec(line)?.groups;
    if (found === undefined || found.state?.startsWith("Z")) return null;
    return { startTime: found.startTime ?? "", commandLine: found.commandLine ?? "" };
  } catch {
    return null;
  }
}

/** A process that ended meanwhile needs no signal. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/**
 * The file of a living runner. Written whenever a process is started, before it can ever be frozen; one that is killed
 * before that notices the end of its parent by itself.
 */
export class ProcessFile {
  readonly #children = new Map<number, ProcessMark>();

  constructor(
    private readonly file: string | null,
    private readonly runner: { readonly runnerId: string; readonly bootstrap: string },
  ) {
    this.#write();
  }

  add(pid: number): void {
    const view = this.file === null ? null : viewProcess(pid);
    if (view === null) return;
    this.#children.set(pid, { pid, startTime: view.startTime });
    this.#write();
  }

  remove(pid: number): void {
    if (this.#children.delete(pid)) this.#write();
  }

  close(): void {
    if (this.file !== null) rmSync(this.file, { force: true });
  }

  #write(): void {
    if (this.file === null) return;
    const startTime = viewProcess(process.pid)?.startTime ?? "";
    const runner = { pid: process.pid, startTime };
    const record: RunnerRecord = { format: 1, ...this.runner, runner, children: [...this.#children.values()] };
    // Renamed into place: a reader finds the whole old or the whole new file.
    writeFileSync(`${this.file}.new`, JSON.stringify(record));
    renameSync(`${this.file}.new`, this.file);
  }
}
