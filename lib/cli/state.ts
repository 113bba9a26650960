import { Command } from "commander";
import { StreamError } from "../model/errors.js";
import { keyGroupCount } from "../model/keys.js";
import { readRange } from "../runtime/cut.js";
import { stateJson } from "../state/state-json.js";
import { type StoredKey, sweepState } from "../state/state-sweep.js";
import { counted, writeLines } from "./lines-out.js";
import { progressLine } from "./progress-line.js";
import { listed } from "./start-from.js";
import { stateDeleteCommand, stateSetCommand } from "./state-edit.js";
import { type GivenKey, keyHint, parseKey, statesJson } from "./state-key.js";
import { stateWriteCommand } from "./state-write.js";
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
  readonly key?: string;
  readonly json: boolean;
}

export function stateCommand(): Command {
  const command = new Command("state")
    .description("print the keyed state of a checkpoint as JSON lines; write it into a savepoint")
    .argument("<pipeline>", sourceHelp)
    .argument("<checkpoint>", "the id of a checkpoint, the name of a savepoint, or latest")
    .argument("[operator]", "of this operator alone")
    .option("--key <key>", "of this key alone: JSON, or a string as it is")
    .enablePositionalOptions()
    .addCommand(stateSetCommand())
    .addCommand(stateDeleteCommand())
    .addCommand(stateWriteCommand());
  return bucketOptions(command)
    .option("--json", "print the lines alone, and nothing on standard error", false)
    .addHelpText("after", notes)
    .action(async (source: string, checkpoint: string, operator: string | undefined, flags: Flags) => {
      await withBucket(source, flags, (opened) => print(opened, { checkpoint, operator }, flags));
    });
}

const notes = `
Nothing is changed. The bucket alone is read: the table of checkpoints need not be there. It has every complete checkpoint that is
kept; the very last one may be missing for a moment, until it is marked. Records on their way between tasks are no state.

A line for each key: {"operator":…,"key":…,"state":{name: value, …}}. What JSON has no form for is {"$bigint":"12"},
{"$bytes":base64}, {"$date":…}, {"$map":[[key,value],…]}, {"$set":[…]}, {"$number":"NaN"}, {"$undefined":true}.

Examples:
  tidemark state flights.ts latest
  tidemark state flights.ts 42 punctuality --key JFK
  tidemark state flights latest --bucket acme-checkpoints --aws`;

interface Wanted {
  readonly checkpoint: string;
  readonly operator: string | undefined;
}

async function print(opened: OpenedBucket, wanted: Wanted, flags: Flags): Promise<void> {
  const found = await findMarked(opened, wanted.checkpoint);
  const parts = partsOf(found);
  const { checkpointId } = found.ref;
  const operators = chosenOperators(parts, wanted.operator, `checkpoint ${checkpointId}`);
  const key = flags.key === undefined ? null : parseKey(flags.key);
  const progress = progressLine();
  let printed = 0;
  const read = readRange(opened.store);
  const only = key === null ? ([0, keyGroupCount - 1] as const) : ([key.keyGroup, key.keyGroup] as const);
  try {
    for (const operator of operators) {
      for await (const { keyGroup, keys } of sweepState(parts, { operator, read, only })) {
        const lines = [...keys].flatMap(([id, stored]) => (isWanted(key, id) ? [line(operator, stored)] : []));
        printed += lines.length;
        await writeLines(lines);
        if (!flags.json)
          progress.show(() => `${counted(printed)}, operator "${operator}", key group ${keyGroup} of ${keyGroupCount}`);
      }
    }
  } finally {
    progress.end();
  }
  if (key !== null && printed === 0) throw noSuchKey(checkpointId, operators, key);
  if (!flags.json) process.stderr.write(`checkpoint ${checkpointId}: ${counted(printed)} of ${listed(operators)}\n`);
}

const isWanted = (key: GivenKey | null, id: string): boolean => key === null || key.id === id;

const line = (operator: string, stored: StoredKey): string =>
  `{"operator":${JSON.stringify(operator)},"key":${stateJson(stored.key)},"state":${statesJson(stored)}}\n`;

function noSuchKey(checkpointId: number, operators: readonly string[], key: GivenKey): StreamError {
  const names = operators.map((operator) => `"${operator}"`).join(", ");
  return new StreamError(
    "invalid",
    `checkpoint ${checkpointId} has no state of the key ${stateJson(key.key)} (operators: ${names})${keyHint(key)}`,
  );
}
