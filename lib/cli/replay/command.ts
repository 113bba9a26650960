import { createInterface } from "node:readline/promises";
import { Command, InvalidArgumentError } from "commander";
import { StreamError } from "../../model/errors.js";
import { headOf, type OpenedStore, withStore } from "../checkpoints.js";
import { runDevHere } from "../dev/command.js";
import { usageExitCode } from "../exit-codes.js";
import { findNamed } from "../start-from.js";
import { askingOptions } from "../status-waiting.js";
import { choicesText, modeText } from "./asked-modes.js";
import { estimateLines } from "./estimate.js";
import { askReplay, type PlannedReplay, planReplay, type Replayed, type ReplayFlags } from "./replay.js";

export function replayCommand(): Command {
  const command = new Command("replay");
  command
    .description("go back to a checkpoint, with this or other code, and say what becomes of output written since")
    .argument("<pipeline.ts>", "the file that exports the pipeline as default")
    .requiredOption("--from-checkpoint <checkpoint>", "the id of a checkpoint, or the name of a savepoint")
    .option(
      "--sinks <mode>",
      "redirect:SUFFIX, dry-run, overwrite or normal; of one sink SINK=MODE; may be repeated",
      gather,
      [],
    )
    .option("--code <file>", "on this machine: run the pipeline of this file from there on")
    .option("--until-drained", "on this machine: run it here, and stop when all input is processed", false)
    .option("--deployment <number>", "go on with the code of a deployment that was before", deploymentNumber)
    .option("--allow-dropped <operator>", "leave out the state of an operator; may be repeated", gather, [])
    .option("--create", "make tables and streams of a redirect that are missing", false)
    .option("--yes", "do not ask", false);
  return askingOptions(command)
    .addHelpText("after", notes)
    .action((file: string, flags: ReplayFlags) => run(command, file, flags));
}

const gather = (text: string, before: readonly string[]): readonly string[] => [...before, text];

function deploymentNumber(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It is no number of a deployment: write a whole number from 1.");
}

const notes = `
What runs is fenced, and records after the checkpoint are read again. Without --sinks it says what each sink allows, and changes
nothing. Before it begins it shows how many records that are, and how long the stream still keeps them.

Examples:
  tidemark replay flights.ts --from-checkpoint before-2026-06
  tidemark replay flights.ts --from-checkpoint before-2026-06 --sinks redirect:fixed --yes
  tidemark replay flights.ts --from-checkpoint 42 --sinks overwrite --sinks alerts=dry-run --yes
  tidemark replay flights.ts --from-checkpoint 42 --sinks overwrite --code fixed.ts --until-drained --yes

Members with --json: pipeline, checkpoint, sinks (mode of each), records, keptMillis, durationMillis, requests, dollars (of these and of
functions, on AWS), unpriced (calls whose price is not known by their number), isLocal, made (targets),
notes, generation (null: not opened yet, or --dry-run), changed. Where it runs here (--code, --until-drained), lines of "dev" follow.`;

async function run(command: Command, file: string, flags: ReplayFlags): Promise<void> {
  // What is asked has no default: whoever says nothing is told what there is.
  const isExplained = flags.sinks.length === 0;
  const done = await withStore(file, flags, async (opened) => {
    if (isExplained) {
      await findNamed(opened, await headOf(opened), flags.fromCheckpoint);
      return choicesText(opened.plan, flags.fromCheckpoint);
    }
    return planAndAsk(opened, flags);
  });
  if (typeof done === "string") return command.error(done, { exitCode: usageExitCode });
  const { planned, replayed, runsHere } = done;
  if (flags.json) process.stdout.write(`${JSON.stringify(asJson(done))}\n`);
  else if (replayed !== null || flags.dryRun) process.stdout.write(text(planned, replayed, file));
  if (runsHere) process.exitCode = await runDevHere(flags.code ?? file, { ...flags, start: planned.start, as: null });
}

interface Done {
  readonly planned: PlannedReplay;
  /** Null: nothing was asked for. */
  readonly replayed: Replayed | null;
  readonly runsHere: boolean;
}

async function planAndAsk(opened: OpenedStore, flags: ReplayFlags): Promise<Done> {
  const runsHere = flags.code !== undefined || flags.untilDrained;
  const planned = await planReplay(opened, flags);
  if (!flags.json) process.stderr.write(plannedText(planned));
  if (flags.dryRun || !(await isSure(planned, flags))) return { planned, replayed: null, runsHere: false };
  if (runsHere) return { planned, replayed: null, runsHere };
  return { planned, replayed: await askReplay(opened, planned, flags.timeout), runsHere };
}

/** @throws StreamError `invalid`: there is nobody to ask */
async function isSure({ pipeline, start }: PlannedReplay, flags: ReplayFlags): Promise<boolean> {
  if (flags.yes) return true;
  const what = `replay "${pipeline}" from checkpoint ${start.from.checkpointId}`;
  if (process.stdin.isTTY !== true || flags.json)
    throw new StreamError("invalid", `to ${what} fences what runs: give --yes, or --dry-run to look alone`);
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test(await asking.question(`${what}? [y/N] `));
  } finally {
    asking.close();
  }
}

function plannedText({ pipeline, start, sinks, estimate, made, notes: found }: PlannedReplay): string {
  const modes = Object.entries(sinks).map(([sink, mode]) => `${sink} ${modeText(mode)}`);
  const lines = [
    `sinks          ${modes.join(", ")}`,
    ...estimateLines(estimate),
    ...made.map((name) => `makes          ${name}`),
    ...found,
  ];
  return `"${pipeline}" from checkpoint ${start.from.checkpointId}:\n${lines.map((line) => `  ${line}\n`).join("")}`;
}

const asJson = ({ planned, replayed, runsHere }: Done) => ({
  pipeline: planned.pipeline,
  checkpoint: planned.start.from.checkpointId,
  sinks: Object.fromEntries(Object.entries(planned.sinks).map(([sink, mode]) => [sink, modeText(mode)])),
  ...planned.estimate,
  made: planned.made,
  notes: planned.notes,
  generation: replayed?.generation ?? null,
  changed: replayed !== null || runsHere,
});

function text({ pipeline, start }: PlannedReplay, replayed: Replayed | null, file: string): string {
  const what = `"${pipeline}" from checkpoint ${start.from.checkpointId}`;
  if (replayed === null) return `${what} would be replayed. Nothing was changed.\n`;
  if (replayed.generation === null)
    return `the replay of ${what} is asked for, and nothing runs here that would carry it out: run tidemark dev ${file}\n`;
  return `${what} is replayed by generation ${replayed.generation}\n`;
}
