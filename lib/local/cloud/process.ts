import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { asStreamError, StreamError } from "../../model/errors.js";
import { guardAgainstEmulatorFaults } from "./guard.js";
import { type CloudOptions, type EmbeddedCloud, startCloud } from "./server.js";

/** The one line that the process prints on stdout: where the cloud is, or why there is none. */
export type Announcement =
  | { readonly endpoint: string; readonly port: number }
  | { readonly error: { readonly kind: StreamError["kind"]; readonly message: string } };

/**
 * Runs a cloud until SIGTERM, SIGINT or the end of the IPC channel to its parent.
 *
 * @param argv `--port N` (0: a free one), `--data FOLDER` (none: in memory), `--limits real|none`
 */
export async function main(argv: readonly string[]): Promise<void> {
  guardAgainstEmulatorFaults();
  try {
    const cloud = await startCloud(optionsIn(argv));
    stopWhenAsked(cloud);
    announce({ endpoint: cloud.endpoint, port: cloud.port });
  } catch (error) {
    const { kind, message } = asStreamError(error);
    announce({ error: { kind, message } });
    // A parent that reads the announcement tells it in its own words.
    if (process.send === undefined) process.stderr.write(`embedded cloud: ${message}\n`);
    process.exitCode = 1;
    if (process.connected) process.disconnect();
  }
}

function optionsIn(argv: readonly string[]): CloudOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: { port: { type: "string" }, data: { type: "string" }, limits: { type: "string" } },
  });
  const port = Number(values.port ?? 0);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new StreamError("invalid", `--port ${values.port} is no port: give a whole number from 0 to 65535`);
  }
  const limits = values.limits ?? "none";
  if (limits !== "real" && limits !== "none") {
    throw new StreamError("invalid", `--limits ${limits} is not known: give "real" or "none"`);
  }
  return { port, data: values.data ?? null, limits };
}

function announce(announcement: Announcement): void {
  process.stdout.write(`${JSON.stringify(announcement)}\n`);
}

function stopWhenAsked(cloud: EmbeddedCloud): void {
  let stopping = false;
  const stop = () => {
    if (stopping) return;
    stopping = true;
    cloud.close().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`embedded cloud: closing failed: ${String(error)}\n`);
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", stop);
  // Ctrl-C on a terminal reaches the whole group: a parent that has us stop last says so itself, by SIGTERM or its end.
  process.on("SIGINT", process.send === undefined ? stop : () => undefined);
  process.on("disconnect", stop);
  // The parent may have gone while the cloud was starting.
  if (process.send !== undefined && !process.connected) stop();
}

// This module is the file that a child process runs; imported by others it does nothing.
const entry = process.argv[1];
if (entry !== undefined && realpathSync(entry) === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
