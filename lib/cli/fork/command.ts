import { Command } from "commander";
import { isRemovable, removeFork } from "../../checkpoint/fork-removal.js";
import { forgetFork, measureFork } from "../../checkpoint/forks.js";
import { StreamError } from "../../model/errors.js";
import { headOf, type OpenedStore, withStore } from "../checkpoints.js";
import { runDevHere } from "../dev/command.js";
import { usageExitCode } from "../exit-codes.js";
import { loadPipeline } from "../load-pipeline.js";
import { askedModes, choicesText, modeText } from "../replay/asked-modes.js";
import { estimateLines } from "../replay/estimate.js";
import { findNamed } from "../start-from.js";
import { storeOptions } from "../status-waiting.js";
import { type Forked, type ForkFlags, forkName, forkStore, haveFork } from "./fork.js";

export function forkCommand(): Command {
  const command = new Command("fork");
  command
    .description("run other code beside a pipeline, from a copy of its checkpoint, into targets of its own")
    .argument("<pipeline.ts>", "the file that exports the pipeline as default")
    .option("--from-checkpoint <checkpoint>", "the id of a checkpoint, or the name of a savepoint")
    .option("--sinks <mode>", "redirect:SUFFIX or dry-run; of one sink SINK=MODE; may be repeated", gather, [])
    .option("--code <file>", "the pipeline that runs (default: the same)")
    .option("--name <name>", "of the fork (default: that of the pipeline, and -fork)")
    .option("--until-drained", "stop when all input is processed", false)
    .option("--allow-dropped <operator>", "leave out the state of an operator; may be repeated", gather, [])
    .option("--create", "make tables and streams of a redirect that are missing", false)
    .option("--delete", "remove the fork, all but what its sinks have written", false)
    .option("--dry-run", "say what would be done, and change nothing", false);
  return storeOptions(command)
    .option("--json", "print lines of JSON", false)
    .addHelpText("after", notes)
    .action((file: string, flags: ForkFlags) => run(command, file, flags));
}

const gather = (text: string, before: readonly string[]): readonly string[] => [...before, text];

const notes = `
The fork is a pipeline of its own, which runs here, as "dev" does: it reads the same streams, and writes beside. Nothing of the
pipeline is changed. Ctrl-C stops it at a checkpoint; the same command goes on from there.

Examples:
  tidemark fork flights.ts --from-checkpoint before-2026-06 --code fixed.ts --sinks redirect:fixed --until-drained
  tidemark fork flights.ts --from-checkpoint 42 --sinks dry-run --name flights-trial
  tidemark fork flights.ts --delete

Members with --json: pipeline, fork, checkpoint, sinks (mode of each), records, keptMillis, durationMillis, requests, dollars,
unpriced, isLocal, made (targets), notes; lines of "dev" follow. With --delete: fork, objects and items (of bucket and table), deleted (false: --dry-run, or there was none).`;

async function run(command: Command, file: string, flags: ForkFlags): Promise<void> {
  if (flags.delete) return remove(file, flags);
  const { fromCheckpoint } = flags;
  if (fromCheckpoint === undefined)
    return command.error("say with --from-checkpoint what to fork from", { exitCode: usageExitCode });
  const { plan } = await loadPipeline(flags.code ?? file);
  if (flags.sinks.length === 0) {
    await withStore(file, flags, async (opened) => findNamed(opened, await headOf(opened), fromCheckpoint));
    return command.error(choicesText(plan, fromCheckpoint, ["redirect", "dry-run"]), { exitCode: usageExitCode });
  }
  const { unsaid } = askedModes(plan, flags.sinks);
  if (unsaid.length > 0) throw new StreamError("invalid", `--sinks says nothing of ${unsaid.join(", ")}`);
  const forked = await withStore(file, flags, (opened) => haveFork(opened, file, flags));
  if (flags.json) process.stdout.write(`${JSON.stringify(asJson(forked))}\n`);
  else process.stderr.write(text(forked, flags));
  if (!flags.dryRun)
    process.exitCode = await runDevHere(flags.code ?? file, { ...flags, start: null, as: forked.fork });
}

async function remove(file: string, flags: ForkFlags): Promise<void> {
  const done = await withStore(file, flags, async (opened: OpenedStore) => {
    const fork = forkName(opened.store.pipeline, flags);
    const store = forkStore(opened, fork);
    const isThere = await isRemovable(store);
    const measured = await measureFork(store);
    if (flags.dryRun || !isThere) return { fork, isThere, ...measured, deleted: false };
    await removeFork(store);
    await forgetFork(opened.store, fork);
    return { fork, isThere, ...measured, deleted: true };
  });
  const { fork, isThere, objects, items, deleted } = done;
  const what = `${objects} objects and ${items} items`;
  const said = deleted
    ? `is removed, ${what}; what its sinks have written stays`
    : isThere
      ? `would be removed, ${what}. Nothing was changed`
      : "is not there";
  process.stdout.write(
    flags.json ? `${JSON.stringify({ fork, objects, items, deleted })}\n` : `the fork "${fork}" ${said}\n`,
  );
}

const modesOf = ({ sinks }: Forked) => Object.entries(sinks).map(([sink, mode]) => [sink, modeText(mode)] as const);

const asJson = (forked: Forked) => {
  const { pipeline, fork, checkpoint, estimate, made, notes: found } = forked;
  return { pipeline, fork, checkpoint, sinks: Object.fromEntries(modesOf(forked)), ...estimate, made, notes: found };
};

function text(forked: Forked, { dryRun }: ForkFlags): string {
  const { pipeline, fork, checkpoint, estimate, made, notes: found } = forked;
  const lines = [
    `sinks          ${modesOf(forked)
      .map((pair) => pair.join(" "))
      .join(", ")}`,
    ...(estimate === null ? [] : estimateLines(estimate)),
    ...made.map((name) => `makes          ${name}`),
    ...found,
    ...(dryRun ? ["Nothing was changed."] : []),
  ];
  return `"${fork}", a fork of "${pipeline}" from checkpoint ${checkpoint}:\n${lines.map((line) => `  ${line}\n`).join("")}`;
}
