import { Command } from "commander";
import type { OpeningContext } from "../checkpoint/opening.js";
import { checkRestore } from "../checkpoint/opening-check.js";
import { awsWorld } from "../compose.js";
import { StreamError } from "../model/errors.js";
import { libraryVersion } from "../model/library.js";
import { headOf, type OpenedStore, type StoreFlags, withStore } from "./checkpoints.js";
import { exitCodes } from "./exit-codes.js";
import { findNamed } from "./start-from.js";
import { storeOptions } from "./status-waiting.js";

interface Flags extends StoreFlags {
  readonly json: boolean;
  readonly against: string;
  readonly allowDropped: readonly string[];
}

export function checkCommand(): Command {
  const command = new Command("check")
    .description("say whether this code can go on from a checkpoint, before it is deployed")
    .argument("<pipeline.ts>", "the file that exports the pipeline as default")
    .option("--against <checkpoint>", "the id of a checkpoint, or the name of a savepoint", "latest")
    .option("--allow-dropped <operator>", "as if its state were left out; may be repeated", gather, []);
  return storeOptions(command)
    .option("--json", "print one JSON object", false)
    .addHelpText("after", notes)
    .action(async (file: string, flags: Flags) => {
      const found = await withStore(file, flags, (opened) => run(opened, flags));
      process.stdout.write(flags.json ? `${JSON.stringify(found)}\n` : text(found));
      if (found.problems.length > 0) process.exitCode = exitCodes.invalid;
    });
}

const gather = (text: string, before: readonly string[]): readonly string[] => [...before, text];

const notes = `
Nothing is changed, and a pipeline may run meanwhile. Checked are the state of operators (by name and version), output that waits
for its sink, records on their way to operators, and the streams and positions of the sources. It ends with 1 where a start with
this code would be refused, and says for each reason what to do. That the values in a state have the form that the new code
expects it cannot know: give the operator another version where they have not.

Examples:
  tidemark check flights.ts
  tidemark check flights.ts --against before-2026-06 --allow-dropped counts

Members with --json: pipeline, checkpoint, restorable, problems, notes.`;

interface Checked {
  readonly pipeline: string;
  readonly checkpoint: number;
  readonly restorable: boolean;
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

/** The plan of the file, as an opening of it would see the environment. */
export function contextOf({ store, plan, target }: OpenedStore): OpeningContext {
  const { log } = awsWorld(target.environment, target.clients);
  return { store, log, plan, library: libraryVersion, bindStream: target.bindings.stream };
}

async function run(opened: OpenedStore, { against, allowDropped }: Flags): Promise<Checked> {
  const head = await headOf(opened);
  const { pipeline } = opened.store;
  if (head.completed === null)
    throw new StreamError("invalid", `pipeline "${pipeline}" has no complete checkpoint yet: any code may start it`);
  const origin = await findNamed(opened, head, against);
  const { problems, notes } = await checkRestore(contextOf(opened), head, origin, allowDropped);
  return { pipeline, checkpoint: origin.checkpointId, restorable: problems.length === 0, problems, notes };
}

function text({ pipeline, checkpoint, restorable, problems, notes }: Checked): string {
  const lines = [...problems, ...notes].map((line) => `  ${line}\n`).join("");
  const can = restorable
    ? "can go on"
    : `can NOT go on (${problems.length} ${problems.length === 1 ? "reason" : "reasons"})`;
  return `this code of "${pipeline}" ${can} from checkpoint ${checkpoint}\n${lines}`;
}
