import { Command } from "commander";
import { readRange } from "../runtime/cut.js";
import { diffState, type StateChange } from "../state/state-diff.js";
import { stateJson } from "../state/state-json.js";
import { printOutputDiff } from "./diff-output.js";
import { writeLines } from "./lines-out.js";
import { progressLine } from "./progress-line.js";
import { statesJson } from "./state-key.js";
import {
  type BucketFlags,
  bucketOptions,
  chosenOperators,
  findMarked,
  type OpenedBucket,
  partsOf,
  sourceHelp,
  withBucket,
} from "./stored-state.js";

interface Flags extends BucketFlags {
  readonly json: boolean;
  readonly output: boolean;
}

export function diffCommand(): Command {
  const command = new Command("diff")
    .description("print the keys whose state is not the same in two checkpoints")
    .argument("<pipeline>", sourceHelp)
    .argument("<before>", "the id of a checkpoint, the name of a savepoint, or latest")
    .argument("<now>", "another one")
    .argument("[operator]", "of this operator alone");
  return bucketOptions(command)
    .option("--output", "of what was written: <before> and <now> are tables, and every key is compared", false)
    .option("--json", "print JSON lines", false)
    .addHelpText("after", notes)
    .action(async (source: string, before: string, now: string, operator: string | undefined, flags: Flags) => {
      if (flags.output) return printOutputDiff(source, { before, now }, flags);
      await withBucket(source, flags, (opened) => print(opened, { before, now, operator }, flags));
    });
}

const notes = `
Nothing is changed. The bucket alone is read, as by "tidemark state", and of large state what was touched in between. A line for
each key, in the order of key groups: + for one that was added, - for one that was removed, ~ for one that has changed. It ends
with 0 whether or not something differs.

Examples:
  tidemark diff flights.ts 41 45
  tidemark diff flights.ts before-2026-06 latest punctuality --json
  tidemark diff flights.ts airports airports-fixed --output

Members with --json: operator, key, change (added, removed, changed), before and now (the states by name, in the form of
"tidemark state"; null where the key has none). With --output: change, key, before and now (the items).`;

interface Wanted {
  readonly before: string;
  readonly now: string;
  readonly operator: string | undefined;
}

async function print(opened: OpenedBucket, wanted: Wanted, flags: Flags): Promise<void> {
  const [before, now] = [await findMarked(opened, wanted.before), await findMarked(opened, wanted.now)];
  const [old, fresh] = [partsOf(before), partsOf(now)];
  const what = `neither of the checkpoints ${before.ref.checkpointId} and ${now.ref.checkpointId}`;
  const operators = chosenOperators([...old, ...fresh], wanted.operator, what);
  const read = readRange(opened.store);
  const counts = { added: 0, removed: 0, changed: 0 };
  const progress = progressLine();
  try {
    for (const operator of operators) {
      for await (const { keyGroup, changes } of diffState(old, fresh, operator, read)) {
        for (const { kind } of changes) counts[kind]++;
        await writeLines(changes.map((change) => (flags.json ? jsonLine : textLine)(operator, change)));
        progress.show(() => `${told(counts)}, operator "${operator}", key group ${keyGroup}`);
      }
    }
  } finally {
    progress.end();
  }
  if (!flags.json)
    process.stderr.write(`from checkpoint ${before.ref.checkpointId} to ${now.ref.checkpointId}: ${told(counts)}\n`);
}

const told = (counts: Readonly<Record<StateChange["kind"], number>>): string =>
  Object.entries(counts)
    .map(([kind, count]) => `${count.toLocaleString("en-US")} ${kind}`)
    .join(", ");

const statesOf = (change: StateChange) => ({
  key: (change.kind === "removed" ? change.before : change.now).key,
  before: change.kind === "added" ? null : statesJson(change.before),
  now: change.kind === "removed" ? null : statesJson(change.now),
});

function jsonLine(operator: string, change: StateChange): string {
  const { key, before, now } = statesOf(change);
  return `{"operator":${JSON.stringify(operator)},"key":${stateJson(key)},"change":"${change.kind}","before":${before},"now":${now}}\n`;
}

const signs = { added: "+", removed: "-", changed: "~" } as const;

function textLine(operator: string, change: StateChange): string {
  const { key, before, now } = statesOf(change);
  const states = [before, now].filter((json) => json !== null).join(" → ");
  return `${signs[change.kind]} ${operator} ${stateJson(key)} ${states}\n`;
}
