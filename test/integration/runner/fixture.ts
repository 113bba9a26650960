import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
// The runner starts its processes from compiled code, so the tests run the compiled runner.
import type { RunnerEvent } from "../../../dist/local/runner/events.js";
import type { AsyncConfig, FunctionDefinition } from "../../../dist/local/runner/functions.js";
import { viewProcess } from "../../../dist/local/runner/leftovers.js";
import { type Runner, type RunnerOptions, startRunner } from "../../../dist/local/runner/runner.js";

export const functionFile = fileURLToPath(new URL("./function.mjs", import.meta.url));
export const parentFile = fileURLToPath(new URL("./parent.mjs", import.meta.url));

export interface Ground {
  readonly runner: Runner;
  readonly events: RunnerEvent[];
  readonly folder: string;
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "runner-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A runner of this test alone. It is closed at the end, and has left no process then. */
export async function openGround(options: RunnerOptions = {}): Promise<Ground> {
  const events: RunnerEvent[] = [];
  const folder = temporaryFolder();
  const runner = await startRunner({ retryDelayMs: 20, ...options, onEvent: (event) => events.push(event) });
  onTestFinished(async () => {
    await runner.close();
    const pids = new Set(events.flatMap((event) => ("pid" in event && event.pid !== null ? [event.pid] : [])));
    const left = [...pids].filter(isAlive);
    if (left.length > 0) throw new Error(`processes ${left.join(", ")} outlive their runner`);
  });
  return { runner, events, folder };
}

export function define(
  given: Partial<Omit<FunctionDefinition, "asyncConfig">> & { readonly asyncConfig?: Partial<AsyncConfig> } = {},
): FunctionDefinition {
  const asyncConfig = { retries: 0, maxAgeMs: 60_000, onFailure: null, ...given.asyncConfig } as const;
  const common = { name: "act", version: "1", entry: functionFile, handler: "handler", timeoutMs: 20_000, env: {} };
  return { ...common, ...given, asyncConfig };
}

/** The JSON lines of a file that functions append to. */
export function linesOf(file: string): readonly Record<string, unknown>[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").trim().split("\n");
  return lines.map((line) => JSON.parse(line));
}

export function isAlive(pid: number): boolean {
  return viewProcess(pid) !== null;
}

/** Waits for a condition; the test's own time limit is what bounds it. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(10);
}
