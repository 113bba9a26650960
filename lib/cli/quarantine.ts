import { join } from "node:path";
import { Command } from "commander";
import { type DeadLetterTable, deadLetterTable, type StoredLetter } from "../connectors/dead-letter-table.js";
import { nodeFiles } from "../connectors/node-files.js";
import { StreamError } from "../model/errors.js";
import { type DeadLetter, deadLetterSink } from "../pipeline/dead-letter.js";
import { type OpenedStore, type StoreFlags, withStore } from "./checkpoints.js";
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
    .action(async (file: string, flags: Flags) => {
      const found = await withStore(file, flags, (opened) => run(opened, flags));
      process.stdout.write(flags.json ? `${JSON.stringify(found)}\n` : text(found, flags));
    });
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
  const { plan, target } = opened;
  if (flags.retry === undefined) return listed(await readLetters(opened));
  const table = tableOf(opened);
  if (table === null)
    throw new StreamError(
      "invalid",
      `pipeline "${plan.graph.name}" writes its dead letters to files, where none can be marked as put back: put their bytes into the stream as docs/bad-records.md says, or let deadLetters be a dynamoTable`,
    );
  const options = { partitionKey: flags.partitionKey ?? null, again: flags.again };
  const planned = await planPutBack(opened, await table.list(), flags.retry, options);
  if (flags.dryRun) return listed(planned.map(({ stored }) => stored));
  return listed(await putBack(table, target, planned));
}

interface SinkConfig {
  readonly table?: string;
  readonly key?: readonly { readonly name: string }[];
  readonly folder?: string;
}

const configOf = ({ plan }: OpenedStore): SinkConfig & { readonly kind: string } => {
  const sink = plan.sinks.get(deadLetterSink);
  if (sink === undefined)
    throw new StreamError(
      "invalid",
      `pipeline "${plan.graph.name}" puts no record aside: it has no onBadRecord: "quarantine"`,
    );
  return { ...(sink.config as SinkConfig), kind: sink.kind };
};

/** Null: they are not in a table. */
function tableOf(opened: OpenedStore): DeadLetterTable | null {
  const { table, key = [], kind } = configOf(opened);
  if (kind !== "dynamo-table" || table === undefined) return null;
  const { clients, bindings } = opened.target;
  const names = key.map(({ name }) => name);
  return deadLetterTable(clients.dynamo, bindings.table(table), names);
}

async function readLetters(opened: OpenedStore): Promise<readonly StoredLetter[]> {
  const { kind, folder } = configOf(opened);
  const table = tableOf(opened);
  if (table !== null) return table.list();
  if (kind === "file" && folder !== undefined) return readFolder(opened.target.bindings.file(folder));
  throw new StreamError(
    "invalid",
    `dead letters of pipeline "${opened.plan.graph.name}" go to a sink of kind "${kind}", which this command cannot read: it reads those of dynamoTable and fileSink`,
  );
}

async function readFolder(folder: string): Promise<readonly StoredLetter[]> {
  const files = nodeFiles();
  const letters: StoredLetter[] = [];
  for (const name of await files.list(folder)) {
    if (!name.endsWith(".jsonl")) continue;
    const lines = Buffer.from((await files.read(join(folder, name))) ?? []).toString("utf8");
    for (const line of lines.split("\n"))
      if (line !== "") letters.push({ letter: letterOf(line, name), putBack: null });
  }
  return letters;
}

function letterOf(line: string, file: string): DeadLetter {
  try {
    return JSON.parse(line) as DeadLetter;
  } catch (cause) {
    throw new StreamError("corrupt", `${file}: a line is no JSON, and so no dead letter`, { cause });
  }
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
