import { Command, InvalidArgumentError } from "commander";
import { type Duration, parseDuration } from "../../model/duration.js";
import { asStreamError } from "../../model/errors.js";
import { interruptedExitCode } from "../exit-codes.js";
import { type DevOptions, runDev } from "./dev.js";
import { jsonOutput, liveOutput, type Screen } from "./output.js";

interface Flags {
  readonly untilDrained: boolean;
  readonly chaos?: number;
  readonly session: number;
  readonly data?: string;
  readonly port: number;
  readonly aws: boolean;
  readonly create: boolean;
  readonly json: boolean;
}

export function devCommand(): Command {
  return new Command("dev")
    .description("run a pipeline on this machine: on the embedded cloud, or on what AWS_ENDPOINT_URL names")
    .argument("<pipeline.ts>", "the file that exports the pipeline as default")
    .option("--until-drained", "stop when all input is processed and committed", false)
    .option("--chaos <duration>", "kill an operator process about that often, such as 2s", duration)
    .option("--session <duration>", "how long a session may run before it hands over (15m at most)", duration, 900_000)
    .option("--data <folder>", "where the embedded cloud keeps its data (default: .tidemark/cloud of the project)")
    .option("--port <number>", "port of the embedded cloud (0: a free one)", port, 0)
    .option("--aws", "run against the AWS account that the SDK finds", false)
    .option("--no-create", "do not make streams, tables and bucket that a local endpoint lacks")
    .option("--json", "print events as lines of JSON", false)
    .addHelpText(
      "after",
      "\nCtrl-C stops at a checkpoint; the next dev goes on from there. A second Ctrl-C ends at once.",
    )
    .action(async (file: string, flags: Flags) => {
      process.exitCode = await runDev(optionsOf(file, flags));
    });
}

function optionsOf(file: string, flags: Flags): DevOptions {
  const write = (text: string) => void process.stdout.write(text);
  const screen: Screen = { isTTY: process.stdout.isTTY === true, columns: process.stdout.columns ?? 120, write };
  return {
    file,
    untilDrained: flags.untilDrained,
    chaosMillis: flags.chaos ?? null,
    sessionMillis: flags.session,
    data: flags.data ?? null,
    port: flags.port,
    aws: flags.aws,
    create: flags.create,
    listener: flags.json ? jsonOutput(write) : liveOutput(screen, () => performance.now()),
    interrupt: onInterrupt(),
  };
}

/** The first Ctrl-C asks for the checkpoint to stop at; the second does not wait for it. */
function onInterrupt(): AbortSignal {
  const interrupt = new AbortController();
  const handle = () => {
    if (interrupt.signal.aborted) process.exit(interruptedExitCode);
    process.stderr.write("\nstopping at a checkpoint; Ctrl-C again ends at once\n");
    interrupt.abort();
  };
  process.on("SIGINT", handle);
  process.on("SIGTERM", handle);
  return interrupt.signal;
}

function duration(text: string): number {
  try {
    return parseDuration(text as Duration, "it");
  } catch (error) {
    throw new InvalidArgumentError(asStreamError(error).message);
  }
}

export function port(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0 || number > 65_535)
    throw new InvalidArgumentError("it is no port: a number from 0 to 65535");
  return number;
}
