import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { StreamError } from "../../model/errors.js";
import type { Announcement } from "./process.js";
import type { CloudOptions } from "./server.js";

const stopPatienceMs = 10_000;
const entry = new URL("./process.js", import.meta.url);

/** A cloud in a process of its own. */
export interface CloudProcess {
  readonly endpoint: string;
  readonly pid: number;
  /** Resolves when the process has ended, with everything closed. */
  stop(): Promise<void>;
}

/**
 * Starts the embedded cloud as a separate node process, which also ends when this one does. See `startCloud` for what it offers.
 *
 * @throws StreamError `invalid` with the child's own reason when it cannot start.
 *
 * @example
 * const cloud = await spawnCloud({ port: 4566, data: ".tidemark/cloud" });
 * await cloud.stop();
 */
export async function spawnCloud(options: CloudOptions): Promise<CloudProcess> {
  const child = spawn(process.execPath, [fileURLToPath(entry), ...argumentsOf(options)], {
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  const { endpoint } = await announced(child);
  return { endpoint, pid: Number(child.pid), stop: () => stop(child, ended) };
}

function argumentsOf({ port, data, limits }: CloudOptions): string[] {
  return [
    `--port=${port}`,
    ...(data === null ? [] : [`--data=${data}`]),
    ...(limits === undefined ? [] : [`--limits=${limits}`]),
  ];
}

function announced(child: ChildProcess): Promise<{ readonly endpoint: string }> {
  return new Promise((resolve, reject) => {
    child.once("error", (cause) => {
      reject(
        new StreamError("invalid", `the embedded cloud's process could not be started: ${cause.message}`, { cause }),
      );
    });
    // "close" comes after all output has been read, so a reason that was announced is heard first.
    child.once("close", (code, signal) => {
      reject(
        new StreamError(
          "bug",
          `the embedded cloud's process ended (${signal ?? code}) before it was ready; see its stderr`,
        ),
      );
    });
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).once("line", (line) => {
      const announcement = JSON.parse(line) as Announcement;
      if ("error" in announcement) reject(new StreamError(announcement.error.kind, announcement.error.message));
      else resolve(announcement);
    });
  });
}

async function stop(child: ChildProcess, ended: Promise<void>): Promise<void> {
  child.kill("SIGTERM");
  const impatient = setTimeout(() => child.kill("SIGKILL"), stopPatienceMs);
  await ended;
  clearTimeout(impatient);
}
