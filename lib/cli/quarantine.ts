import { Command } from "commander";
import type { StoredLetter } from "../connectors/stored-letters.js";
import type { DeadLetter } from "../pipeline/dead-letter.js";
import { type OpenedStore, onStore, type StoreFlags } from "./checkpoints.js";
import { deadLettersOf } from "./dead-letters.js";
import { planPutBack, putBack } from "./put-back.js";
import { storeOptions } from "./status-waiting.js";

interface Flags extends StoreFlags {
  readonly json: boolean;
  readonly dryRun: boolean;
  readonly retry?: readonly string[];
  readonly partitionKey?: string;
  readonly again: boolean;
}

export function quarantineCommand(): Command {
  const command = new Command("quarantine")
    .description("list the records that were put aside, or put some back into their stream")
    .argument("<pipeline.ts>", "the file that exports the pipeline as default");
  return storeOptions(command)
    .option("--retry <id...>", "put these back, as new records")
    .option("--partition-key <key>", "with --retry, of records that the stream no longer has")
    .option("--again", "with --retry, also those of which it is not known whether they came", false)
    .option("--dry-run", "say what would be done, and change nothing", false)
    .option("--json", "print one JSON array", false)
    .addHelpText("after", notes)
    .action(onStore(run, text));
}

const notes = `
Mend the cause first. A record that is put back is a new one, with the bytes and the partition key of the old one, behind all that
came since: it counts once, as a new record does. Its dead letter stays, and says so; it is put back only once.

Examples:
  tidemark quarantine orders.ts
  tidemark quarantine orders.ts --retry orders/shardId-000000000000/49680463996351163632313387045048499183512214873466470418

Members with --json: those of a dead letter (id, source, shard, sequenceNumber, subSequenceNumber, arrivedAt, step, cause, data),
and putBack: null, or at, and to (the new record; null: not known whether it came). With --retry: those that were chosen.`;

type Listed = DeadLetter & { readonly putBack: StoredLetter["putBack"] };

const listed = (letters: readonly StoredLetter[]): readonly Listed[] =>
  letters.map(({ letter, putBack: of }) => ({ ...letter, putBack: of }));

async function run(opened: OpenedStore, flags: Flags): Promise<readonly Listed[]> {
  const letters = deadLettersOf(opened);
  const all = await letters.list();
  if (flags.retry === undefined) return listed(all);
  const options = { partitionKey: flags.partitionKey ?? null, again: flags.again };
  const planned = await planPutBack(opened, all, flags.retry, options);
  if (flags.dryRun) return listed(planned.map(({ stored }) => stored));
  return listed(await putBack(letters, opened.target, planned));
}

/** Cause and place; bodies of records are for --json alone. */
function text(letters: readonly Listed[], flags: Flags): string {
  const line = ({ id, step, cause, arrivedAt }: Listed) => `${id}\n  ${arrivedAt ?? "no time"}  ${step}: ${cause}\n`;
  if (flags.retry !== undefined) {
    const done = flags.dryRun ? "would be put back. Nothing was changed" : "is put back";
    return letters.map(({ id, putBack: of }) => `${id} ${done}${of?.to == null ? "" : `, as ${of.to}`}\n`).join("");
  }
  const open = letters.filter(({ putBack: of }) => of?.to == null);
  const unknown = (one: Listed) =>
    one.putBack === null ? "" : `  put back at ${one.putBack.at}; whether it came is not known\n`;
  const counts = `${open.length} put aside, ${letters.length - open.length} put back since\n`;
  return open.map((one) => line(one) + unknown(one)).join("") + counts;
}
