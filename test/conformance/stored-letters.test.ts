// Dead letters where their sinks write them: what is read there, and which of several may put one back.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deadLetterBucket } from "../../lib/connectors/dead-letter-bucket.js";
import { deadLetterFolder } from "../../lib/connectors/dead-letter-folder.js";
import { deadLetterTable } from "../../lib/connectors/dead-letter-table.js";
import { type MarkPlace, markedLetters } from "../../lib/connectors/letter-marks.js";
import { letterOf, type StoredLetters } from "../../lib/connectors/stored-letters.js";
import type { DeadLetter } from "../../lib/pipeline/dead-letter.js";
import { rowsOf } from "../../lib/testing/run/object-rows.js";
import { type Cloud, openCloud } from "./aws-cloud.js";

let cloud: Cloud;
const folders: string[] = [];
beforeAll(async () => {
  cloud = await openCloud();
});
afterAll(async () => {
  await cloud.close();
  for (const folder of folders) await rm(folder, { recursive: true });
});

const letter = (n: number, subSequenceNumber: number | null = null): DeadLetter => ({
  id: `orders/shard-0/${n}${subSequenceNumber === null ? "" : `/${subSequenceNumber}`}`,
  source: "orders",
  shard: "shard-0",
  sequenceNumber: String(n),
  subSequenceNumber,
  arrivedAt: "2026-07-31T12:00:00.000Z",
  step: "decode",
  cause: 'it has "quotes", and commas',
  data: Buffer.from(`record ${n}`).toString("base64"),
});
const lines = (...rows: readonly unknown[]) => `${rows.map((row) => JSON.stringify(row)).join("\n")}\n`;

type Opened = { readonly letters: StoredLetters; readonly file: (name: string, text: string) => Promise<unknown> };

async function inFolder(): Promise<Opened> {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-letters-"));
  folders.push(folder);
  return { letters: deadLetterFolder(folder), file: (name, text) => writeFile(join(folder, name), text) };
}

async function inBucket(): Promise<Opened> {
  const bucket = await cloud.createBucket();
  const place = { bucket, prefix: "dead/", staging: "dead/_tidemark/", ending: ".jsonl" };
  const put = (Key: string, Body: string) =>
    cloud.clients.s3.send(new PutObjectCommand({ Bucket: bucket, Key: `dead/${Key}`, Body }));
  const format = { name: "json-lines", ending: ".jsonl", config: { codec: "json", compression: "none" } };
  return { letters: deadLetterBucket(cloud.clients.s3, place, (bytes) => rowsOf(bytes, format)), file: put };
}

const places = { "a folder": inFolder, "a bucket": inBucket };

describe.each(Object.entries(places))("files in %s", (_, open) => {
  it("are read in the order of ids, but for what is staged and for rows of others", async () => {
    const { letters, file } = await open();
    expect(await letters.list()).toEqual([]);
    await file("out-2.jsonl", lines(letter(7), letter(5, 1)));
    await file("out-1.jsonl", lines(letter(6), { id: "no letter" }, null, "a text"));
    await file("notes.txt", "no JSON");
    expect(await letters.list()).toEqual(
      [letter(5, 1), letter(6), letter(7)].map((one) => ({ letter: one, putBack: null })),
    );
  });

  it("a letter that comes again, after a start from an older checkpoint, is one, and was put back if it was before", async () => {
    const { letters, file } = await open();
    await file("out-1.jsonl", lines(letter(5), letter(6)));
    const done = { at: "2026-07-31T12:00:01.000Z", to: "shard-0/9" };
    expect(await letters.mark(letter(5), null, done)).toBe(true);
    await file("out-2.jsonl", lines({ ...letter(5), cause: "another" }));
    expect(await letters.list()).toEqual([
      { letter: { ...letter(5), cause: "another" }, putBack: done },
      { letter: letter(6), putBack: null },
    ]);
  });
});

async function inTable(): Promise<StoredLetters> {
  const table = await cloud.createTable([{ name: "id", type: "string" }]);
  for (const n of [5, 6]) await cloud.plant(table, { ...letter(n) });
  return deadLetterTable(cloud.clients.dynamo, table, ["id"]);
}

const withTwo = async ({ letters, file }: Opened): Promise<StoredLetters> => {
  await file("out-1.jsonl", lines(letter(5), letter(6)));
  return letters;
};
const stores = {
  ...Object.fromEntries(Object.entries(places).map(([name, open]) => [name, async () => withTwo(await open())])),
  "a table": inTable,
};

describe.each(Object.entries(stores))("marks in %s", (_, open) => {
  const [begun, later] = ["2026-07-31T12:00:01.000Z", "2026-07-31T12:00:02.000Z"].map((at) => ({ at, to: null }));
  const done = { at: begun?.at ?? "", to: "shard-0/9" };
  const marksOf = async (letters: StoredLetters) => (await letters.list()).map(({ putBack }) => putBack);

  it("Q1 R5 whoever knows what is there may change it, and nobody else", async () => {
    const letters = await open();
    const mark = (before: typeof done | typeof begun | null = null, next: typeof before = null) =>
      letters.mark(letter(5), before, next);
    expect(await mark(null, begun)).toBe(true);
    expect([await mark(null, later), await mark(later, done)]).toEqual([false, false]);
    expect(await marksOf(letters)).toEqual([begun, null]);
    expect(await mark(begun, done)).toBe(true);
    expect([await mark(null, later), await mark(begun, null), await mark(begun, later)]).toEqual([false, false, false]);
    expect(await marksOf(letters)).toEqual([done, null]);
  });

  it("Q1 what was not put after all may be put again, and so may what nobody knows of", async () => {
    const letters = await open();
    expect(await letters.mark(letter(6), null, begun ?? null)).toBe(true);
    expect(await letters.mark(letter(6), begun ?? null, null)).toBe(true);
    expect(await marksOf(letters)).toEqual([null, null]);
    expect(await letters.mark(letter(6), null, begun ?? null)).toBe(true);
    expect(await letters.mark(letter(6), begun ?? null, later ?? null)).toBe(true);
    expect(await letters.mark(letter(6), begun ?? null, later ?? null)).toBe(false);
    expect(await marksOf(letters)).toEqual([null, later]);
  });

  it("Q1 of several that begin at once one may", async () => {
    const letters = await open();
    const at = (n: number) => ({ at: `2026-07-31T12:00:0${n}.000Z`, to: null });
    const all = await Promise.all([0, 1, 2, 3, 4, 5].map((n) => letters.mark(letter(5), null, at(n))));
    expect(all.filter((mine) => mine)).toHaveLength(1);
    expect(await marksOf(letters)).toEqual([at(all.indexOf(true)), null]);
  });
});

it("Q1 R5 a mark whose answer was lost, and that is made again underneath, is found to be one's own", async () => {
  const made = new Map<string, Uint8Array>();
  const place: MarkPlace = {
    names: async (prefix) => [...made.keys()].filter((name) => name.startsWith(prefix)).sort(),
    read: async (name) => made.get(name) ?? null,
    async create(name, bytes) {
      if (!made.has(name)) made.set(name, bytes);
      return false;
    },
  };
  const letters = markedLetters(place, async () => [letter(5)]);
  expect(await letters.mark(letter(5), null, { at: "a", to: null })).toBe(true);
  expect(await letters.mark(letter(5), { at: "a", to: null }, { at: "a", to: "b" })).toBe(true);
  expect(await letters.list()).toEqual([{ letter: letter(5), putBack: { at: "a", to: "b" } }]);
});

describe("formats", () => {
  const columns = {
    ...Object.fromEntries(
      ["id", "source", "shard", "sequenceNumber", "step", "cause", "data"].map((n) => [n, "string"]),
    ),
    subSequenceNumber: "int32?",
    arrivedAt: "string?",
  };
  const rows = [letter(5, 3), letter(6)];

  it.each(["csv", "parquet", "json-lines"])("of %s give letters as they were", async (name) => {
    const bytes = await encoded(name);
    const config = { compression: "gzip", columns: name === "csv" ? null : columns, header: true, codec: "json" };
    expect((await rowsOf(bytes, { name, ending: "", config })).map(letterOf)).toEqual(rows);
  });

  async function encoded(name: string): Promise<Uint8Array> {
    if (name === "json-lines") return gzipSync(lines(...rows));
    const { csv } = await import("../../lib/connectors/csv.js");
    const { parquet } = await import("../../lib/connectors/parquet.js");
    const format =
      name === "csv" ? csv({ compression: "gzip" }) : parquet({ columns: columns as never, compression: "gzip" });
    const file = format.open()();
    for (const row of rows) file.append(row);
    file.settle();
    return file.finish();
  }
});
