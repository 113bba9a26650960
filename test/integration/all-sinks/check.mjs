// Compares what all sinks hold at the end with what the lines make. Prints what is wrong, and figures, as JSON.
//
//     node check.mjs '{"endpoint":"http://…","database":"postgres://…","lines":"….jsonl","folder":"…/out","pipeline":"all-sinks"}'
//
// Shares no code with tidemark: it has clients of AWS and of PostgreSQL, and what the documentation says.
import { isDeepStrictEqual } from "node:util";
import { opened, reader } from "./envelope.mjs";
import { countersOf, grouped, numberedOf, readLines, takesItem, takesTotal, totalOf } from "./expected.mjs";
import { filesIn, isFinal, items, keysIn, openClients, plain, rowsIn, rowsOf, streamReader, textOf } from "./read.mjs";

const options = JSON.parse(process.argv[2] ?? "{}");
const words = readLines(options.lines);
const numbered = numberedOf(words);
const all = [...numbered.values()].flat();
const lasts = [...numbered.values()].map((rows) => rows.at(-1));
const clients = await openClients(options);
const figures = { records: words.length };

const wrong = new Map();
const examplesMax = 3;
function tell(what, example) {
  const { count, examples } = wrong.get(what) ?? { count: 0, examples: [] };
  wrong.set(what, { count: count + 1, examples: [...examples, example].slice(0, examplesMax) });
}

/** Found by key, and expected: both ways. */
function compare(sink, found, expected) {
  for (const [key, value] of found)
    if (!expected.has(key)) tell(`${sink}: nobody expects it`, value);
    else if (!isDeepStrictEqual(value, expected.get(key))) tell(`${sink}: wrong`, [value, expected.get(key)]);
  for (const [key, value] of expected) if (!found.has(key)) tell(`${sink}: missing`, value);
}

/** Rows as a reader has them: those of a key are all there, once, in their order. */
function compareInOrder(sink, rows, { expected = all, keyOf = wordOf } = {}) {
  const wanted = grouped(expected, keyOf);
  const at = new Map();
  for (const row of rows) {
    const key = keyOf(row);
    const index = at.get(key) ?? 0;
    at.set(key, index + 1);
    const next = wanted.get(key)?.[index];
    if (!isDeepStrictEqual(row, next)) tell(`${sink}: not the next one of ${keyOf.name}`, [row, next ?? null]);
  }
  for (const [key, { length }] of wanted)
    if (at.get(key) !== length) tell(`${sink}: so many of ${keyOf.name}`, { key, found: at.get(key) ?? 0, length });
  figures[sink] = rows.length;
}

const wordOf = ({ word }) => word;
const wordInTagOf = ({ word, tag }) => `${word}/${tag}`;
const seqOf = ({ seq }) => seq;

async function input() {
  const found = [];
  for await (const { Data } of streamReader(clients, "words")()) found.push(JSON.parse(Buffer.from(Data).toString()));
  compareInOrder("input", found, { expected: words, keyOf: wordOf });
}

async function counters() {
  const found = new Map();
  for await (const item of items(clients, "counters")) {
    const { tag, ...sums } = plain(item);
    if (!tag.startsWith("~tidemark/")) found.set(tag, sums);
  }
  compare("counters", found, countersOf(words));
  figures.counters = found.size;
}

async function itemsByWord() {
  const expected = lasts.map((row) => (takesItem(row) ? { word: row.word, "~deleted": true } : row));
  const found = new Map();
  for await (const item of items(clients, "items")) {
    const { "~tidemark": _version, "~expires": _expires, ...row } = plain(item);
    found.set(row.word, row);
  }
  compare("items", found, grouped(expected, wordOf, "one"));
  figures.items = found.size;
  figures.deletedItems = [...found.values()].filter((row) => row["~deleted"] === true).length;
}

/** All rows beneath a prefix, file by file, in the order of names. */
async function rowsBeneath(sink, prefix) {
  const keys = await keysIn(clients, "lake", `${prefix}/`);
  const left = keys.filter((key) => key.includes("/staged/"));
  if (left.length > 0) tell(`${sink}: staged objects are left`, left.slice(0, examplesMax));
  const files = [];
  for (const key of keys.filter(isFinal)) files.push({ key, rows: rowsOf(await textOf(clients, "lake", key)) });
  await manifests(sink, keys, files);
  figures[`${sink} files`] = files.length;
  return files;
}

/** They name all files with their rows, and no others. */
async function manifests(sink, keys, files) {
  const listed = new Map();
  for (const key of keys.filter((one) => one.includes("/_tidemark/manifests/")))
    for (const file of JSON.parse(await textOf(clients, "lake", key)).files) listed.set(file.key, file.rows);
  compare(`${sink}: files of manifests`, listed, new Map(files.map(({ key, rows }) => [key, rows.length])));
}

async function raw() {
  const files = await rowsBeneath("raw", "raw");
  const rows = files.flatMap((file) => file.rows);
  // Of different tasks, and so of different shards, rows have no order.
  compareInOrder("raw", rows, { expected: words, keyOf: seqOf });
}

async function lake() {
  const files = await rowsBeneath("lake", "numbered");
  for (const { key, rows } of files)
    for (const row of rows)
      if (!key.startsWith(`numbered/tag=${row.tag}/`)) tell("lake: another's partition", [key, row]);
  const rows = files.flatMap((file) => file.rows);
  compareInOrder("lake", rows, { keyOf: wordInTagOf });
}

async function stream() {
  const isFresh = reader();
  const rows = [];
  let records = 0;
  for await (const { Data, PartitionKey } of streamReader(clients, "numbered")()) {
    const envelope = opened(Data);
    records += 1;
    const row = JSON.parse(envelope.payload.toString("utf8"));
    if (row.word !== PartitionKey) tell("stream: another partition key", [PartitionKey, row]);
    if (isFresh(envelope)) rows.push(row);
  }
  compareInOrder("stream", rows);
  figures["repeats in the stream"] = records - rows.length;
}

async function totals() {
  const { rows } = await clients.sql.query("select word, seq, n, digest from totals");
  const expected = lasts.filter((row) => !takesTotal(row)).map(totalOf);
  compare("totals", grouped(rows, wordOf, "one"), grouped(expected, wordOf, "one"));
  figures.totals = rows.length;
}

async function ledger() {
  const { rows } = await clients.sql.query("select word, tag, seq, n, digest from ledger order by at");
  compareInOrder("ledger", rows);
}

function lines() {
  const files = filesIn(options.folder);
  const rows = files.flatMap((file) => rowsIn(options.folder, file));
  compareInOrder("lines", rows);
  figures["lines files"] = files.length;
}

for (const check of [input, counters, itemsByWord, raw, lake, stream, totals, ledger, lines]) await check();
await clients.close();
process.stdout.write(`${JSON.stringify({ wrong: Object.fromEntries(wrong), figures })}\n`);
