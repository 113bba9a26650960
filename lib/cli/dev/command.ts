import { Command } from "commander";
import type { Start } from "../../checkpoint/wishes.js";
import { duration, port } from "../arguments.js";
import { interruptSignal } from "../interrupt.js";
import { type DevOptions, runDev } from "./dev.js";
import { jsonOutput, liveOutput, type Screen } from "./output.js";

interface Flags {
  readonly untilDrained: boolean;
  readonly chaos?: number;
  readonly session?: number;
  readonly data?: string;
  readonly port?: number;
  readonly aws: boolean;
  readonly create: boolean;
  readonly json: boolean;
}

const sessionMillisMax = 900_000;

export function devCommand(): Command {
  return new Command("dev")
    .description("run a pipeline on this machine: on the embedded cloud, or on what AWS_ENDPOINT_URL names")
    .argument("<pipeline.ts>", "the file that exports the pipeline as default")
    .option("--until-drained", "stop when all input is processed and committed", false)
    .option("--chaos <duration>", "kill an operator process about that often, such as 2s", duration())
    .option(
      "--session <duration>",
      "how long a session may run before it hands over (default and most: 15m)",
      duration(sessionMillisMax),
    )
    .option("--data <folder>", "where the embedded cloud keeps its data (default: .tidemark/cloud of the project)")
    .option("--port <number>", "the port of the embedded cloud on 127.0.0.1 (default: a free one)", port)
    .option("--aws", "work on the account that the SDK finds: nothing that is missing is made", false)
    .option("--no-create", "do not make streams, tables and bucket that a local endpoint lacks")
    .option("--json", "print events as lines of JSON", false)
    .addHelpText("after", notes)
    .action(async (file: string, flags: Flags) => {
      process.exitCode = await runDev(optionsOf(file, flags));
    });
}

const notes = `
Ctrl-C stops at a checkpoint; the next dev goes on from there. A second Ctrl-C ends at once, and so may kill -9:
the next dev goes on from the last complete checkpoint, without waiting for anything.

On the embedded cloud one dev runs at a time. For several pipelines together run "tidemark cloud" and set AWS_ENDPOINT_URL.
Of two starts of one pipeline on one endpoint the later one goes on; the earlier one ends with exit code 3.

Examples:
  tidemark dev flights.ts                             until Ctrl-C
  tidemark dev flights.ts --until-drained --chaos 2s  all input, once, through crashes`;

/** For commands that run a pipeline here as `dev` does. */
export interface RunHere {
  readonly untilDrained: boolean;
  readonly data?: string;
  readonly aws: boolean;
  readonly json: boolean;
  readonly start: Start | null;
  readonly as: string | null;
}

/** Returns the exit code. @throws StreamError as {@link runDev} does */
export function runDevHere(file: string, { untilDrained, data, aws, json, start, as }: RunHere): Promise<number> {
  const flags = { untilDrained, aws, create: true, json, ...(data === undefined ? {} : { data }) };
  return runDev({ ...optionsOf(file, flags), start, as });
}

function optionsOf(file: string, flags: Flags): DevOptions {
  const write = (text: string) => void process.stdout.write(text);
  const screen: Screen = {
    isTTY: process.stdout.isTTY === true,
    // A terminal that does not know its width says 0.
    columns: () => process.stdout.columns || 80,
    write,
  };
  return {
    file,
    untilDrained: flags.untilDrained,
    chaosMillis: flags.chaos ?? null,
    sessionMillis: flags.session ?? sessionMillisMax,
    cloud: { data: flags.data ?? null, port: flags.port ?? null, aws: flags.aws },
    create: flags.create,
    as: null,
    start: null,
    listener: flags.json ? jsonOutput(write) : liveOutput(screen, () => performance.now()),
    interrupt: interruptSignal("stopping at a checkpoint; Ctrl-C again ends at once"),
  };
}
