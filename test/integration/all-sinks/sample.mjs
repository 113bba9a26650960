// Looks at all sinks while the pipeline runs, again and again until SIGTERM: nothing is seen of a checkpoint that is not complete, what is
// seen of a word is what some number of its records make, and nothing goes back. Prints what is wrong, and figures, as JSON.
//
// Shares no code with tidemark. Options are those of check.mjs.
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { opened } from "./envelope.mjs";
import { countersOf, numberedOf, readLines, takesItem, takesTotal, totalOf } from "./expected.mjs";
import { filesIn, isFinal, items, keysIn, openClients, plain, readHead, streamReader } from "./read.mjs";

const options = JSON.parse(process.argv[2] ?? "{}");
const words = readLines(options.lines);
const numbered = numberedOf(words);
const most = countersOf(words);
const clients = await openClients(options);
const fresh = streamReader(clients, "numbered");

let isOver = false;
process.once("SIGTERM", () => {
  isOver = true;
});

const wrong = new Map();
const examplesMax = 3;
function tell(what, example) {
  const { count, examples } = wrong.get(what) ?? { count: 0, examples: [] };
  wrong.set(what, { count: count + 1, examples: [...examples, example].slice(0, examplesMax) });
}

/** What was last seen of a key; and by sink the newest checkpoint of which something was seen. */
const before = new Map();
const newest = {};
const figures = { samples: 0, whileOneIsPending: 0 };

function goesOn(sink, key, value) {
  const last = before.get(`${sink}/${key}`);
  if (last !== undefined && value < last) tell(`${sink}: went back`, { key, last, value });
  before.set(`${sink}/${key}`, value);
}

const isRow = (row, made) => isDeepStrictEqual(row, made);

/** sink-incarnation-generation-checkpoint-task: of files, and of positions. */
const checkpointOfName = (name) => Number(/-[0-9a-f]{12}-\d{8}-(\d{12})-\d+\.\d+/.exec(name)?.[1]);

async function* filesInBucket(prefix) {
  for (const key of await keysIn(clients, "lake", `${prefix}/`)) if (isFinal(key)) yield checkpointOfName(key);
}

function* filesInFolder() {
  if (existsSync(options.folder)) for (const file of filesIn(options.folder)) yield checkpointOfName(file);
}

async function* recordsOfStream() {
  for await (const { Data } of fresh()) yield opened(Data).checkpoint;
}

/** The version has the checkpoint before the one that covers the row: at least the next one is complete. */
async function* itemsOfTable() {
  for await (const item of items(clients, "items")) {
    const { "~tidemark": bytes, "~deleted": isDeleted = false, ...row } = plain(item);
    const version = Buffer.from(bytes);
    const made = numbered.get(row.word)?.[(row.n ?? 0) - 1];
    if (isDeleted !== true && (!isRow(row, made) || takesItem(row))) tell("items: no row of its word", [row, made]);
    goesOn("items", row.word, version.toString("hex"));
    yield version.readUIntBE(10, 6) + 1;
  }
}

async function* counters() {
  for await (const item of items(clients, "counters")) {
    const { tag, records, sum, "~position": position } = plain(item);
    if (position !== undefined) {
      // A session's start tries a mark of its own.
      if (/^\d{12}-/.test(position)) yield Number(position.slice(0, 12));
      continue;
    }
    if (records > most.get(tag).records) tell("counters: more than there are", { tag, records });
    goesOn("counters", tag, records);
    goesOn("sums", tag, sum);
  }
}

async function* database() {
  const { rows: tables } = await clients.sql.query("select to_regclass('tidemark_tokens') as tokens");
  if (tables[0].tokens === null) return;
  const { rows: tokens } = await clients.sql.query("select position from tidemark_tokens");
  for (const { position } of tokens) yield Number(position.slice(0, 12));
  const [ledger] = (
    await clients.sql.query("select count(*)::integer as n, count(distinct seq)::integer as seqs from ledger")
  ).rows;
  if (ledger.n !== ledger.seqs) tell("ledger: rows twice", ledger);
  goesOn("ledger", "rows", ledger.n);
  const { rows: totals } = await clients.sql.query("select word, seq, n, digest from totals");
  for (const row of totals) {
    const made = numbered.get(row.word)?.[row.n - 1];
    if (made === undefined || !isRow(row, totalOf(made)) || takesTotal(row))
      tell("totals: no row of its word", [row, made]);
    goesOn("totals", row.word, row.n);
  }
}

const sinks = {
  raw: () => filesInBucket("raw"),
  lake: () => filesInBucket("numbered"),
  lines: filesInFolder,
  stream: recordsOfStream,
  items: itemsOfTable,
  counters,
  database,
};

/** First what a sink shows, then what is complete: what is shown was complete before. */
async function look(sink, shown) {
  let last = 0;
  for await (const checkpoint of shown()) {
    if (Number.isNaN(checkpoint)) tell(`${sink}: a name that says no checkpoint`, sink);
    last = Math.max(last, checkpoint);
  }
  const head = await readHead(clients, options.pipeline);
  const complete = head?.completed?.checkpointId ?? 0;
  if (last > complete) tell(`${sink}: shows what is not complete`, { shown: last, complete });
  newest[sink] = Math.max(newest[sink] ?? 0, last);
  if (head !== null && head.pending !== null) figures.whileOneIsPending += 1;
}

for (; !isOver; figures.samples += 1) {
  const began = performance.now();
  for (const [sink, shown] of Object.entries(sinks)) await look(sink, shown);
  // Most of the machine's time is the pipeline's.
  await sleep(Math.max(500, 4 * (performance.now() - began)));
}
await clients.close();
process.stdout.write(`${JSON.stringify({ wrong: Object.fromEntries(wrong), figures: { ...figures, newest } })}\n`);
