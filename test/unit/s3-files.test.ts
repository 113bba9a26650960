import { deleted, jsonLines, type S3FilesOptions, s3Files } from "tidemark";
import { describe, expect, it } from "vitest";
import { observeCompletion } from "../../lib/checkpoint/permit.js";
import type { Json } from "../../lib/model/canonical-json.js";
import type { CommitPermit } from "../../lib/model/checkpoints.js";
import type { Sink, SinkResources, TwoPhaseWriter } from "../../lib/pipeline/sink.js";
import type { Objects } from "../../lib/ports/objects.js";
import { memoryObjects } from "../../lib/testing/memory/objects.js";
import { head, ref } from "./checkpoint-samples.js";
import { sinkResources } from "./sink-samples.js";

interface Row {
  readonly n: number;
  readonly airport?: string;
}

const permit = observeCompletion(head({ completed: ref(1) })) as CommitPermit;
const bucket = "acme-lake";
const task = "out-0a0b0c0d0e0f-0.0-";
/** What a session calls what it shows: of generation 3. */
const unique = (checkpoint: number) => `out-0a0b0c0d0e0f-00000003-${String(checkpoint).padStart(12, "0")}-0.0`;

function writerOf(sink: Sink<Row>, resources: SinkResources): TwoPhaseWriter {
  if (sink.delivery !== "two-phase") throw new Error("it is not two-phase");
  return sink.open(resources);
}

/** A bucket in memory, and the sink's writer in a session. */
function world(
  options: Partial<S3FilesOptions<Row>> = {},
  around: (objects: Objects) => Partial<Objects> = () => ({}),
) {
  const memory = memoryObjects();
  memory.createBucket(bucket);
  const objects: Objects = { ...memory.objects, ...around(memory.objects) };
  const sink = s3Files<Row>({ bucket: "lake", prefix: "rows", ...options });
  const open = (session = "s1", generation = 3): TwoPhaseWriter => {
    const stage = { task, session: `${task}${generation}-${session}` };
    return writerOf(sink, sinkResources({ objects, stage }));
  };
  const keys = () => memory.keys(bucket);
  const text = (key: string) => Buffer.from(memory.read(bucket, key) ?? "").toString("utf8");
  return {
    memory,
    open,
    keys,
    text,
    shown: () => keys().filter((key) => !key.includes("_tidemark/")),
    staged: () => keys().filter((key) => key.includes("_tidemark/staged/")),
    manifests: () => keys().filter((key) => key.includes("_tidemark/manifests/")),
  };
}

/** Rows up to a cut, staged. It goes through the ack, a document of JSON. */
async function prepare(writer: TwoPhaseWriter, checkpoint: number, ...rows: readonly Row[]): Promise<Json> {
  for (const row of rows) writer.write(row);
  const sealed = writer.seal(unique(checkpoint));
  if (sealed === null) throw new Error("nothing was sealed");
  return JSON.parse(JSON.stringify((await sealed.prepare()).prepared)) as Json;
}

const numbered = (first: number, count: number): readonly Row[] =>
  Array.from({ length: count }, (_, index) => ({ n: first + index }));

describe("C4 files in a bucket", () => {
  it("C4 are staged out of sight before the ack, and appear whole by the commit alone", async () => {
    const { open, shown, staged, manifests, text } = world();
    const writer = open();
    const prepared = await prepare(writer, 7, { n: 1 }, { n: 2, airport: "Zürich" });
    expect([shown(), staged()]).toEqual([[], [`rows/_tidemark/staged/${task}3-s1-1-0`]]);
    await writer.commit(prepared, permit);
    const key = `rows/${unique(7)}-00000.jsonl`;
    expect([shown(), staged(), text(key)]).toEqual([[key], [], '{"n":1}\n{"n":2,"airport":"Zürich"}\n']);
    expect(manifests()).toEqual([`rows/_tidemark/manifests/${unique(7)}.json`]);
    const of = { sink: "out", incarnation: "0a0b0c0d0e0f", generation: 3, checkpoint: 7, task: "0.0", previous: null };
    const files = [{ key, rows: 2, bytes: 36 }];
    expect(JSON.parse(text(manifests()[0] ?? ""))).toEqual({
      format: 1,
      name: unique(7),
      ...of,
      rows: 2,
      bytes: 36,
      files,
    });
    await writer.commit(await prepare(writer, 9, { n: 3 }), permit);
    expect(JSON.parse(text(manifests()[1] ?? ""))).toMatchObject({ checkpoint: 9, previous: unique(7), rows: 1 });
  });

  it("no name that readers of files look for is staged: neither by its folder nor by its ending", async () => {
    const { open, staged } = world({ format: jsonLines({ compression: "gzip" }) });
    await prepare(open(), 1, { n: 1 });
    // Hive, Athena, Spark and Trino pass over what begins with "_"; a glob asks for the ending.
    expect(staged()).toHaveLength(1);
    for (const key of staged()) expect(key).toMatch(/^rows\/_tidemark\/staged\/[^/]*-1-0$/);
  });

  it.each(["size", "copy", "put", "remove"] as const)(
    "C4 R5 the process dies around %s of the commit: whoever commits next ends with the files, once",
    async (dying) => {
      for (const when of ["before", "after"]) {
        let dies = false;
        const { open, shown, staged, manifests, memory, text } = world({ rollBytes: 1_024 }, (objects) => ({
          [dying]: async (...args: never[]) => {
            const call = objects[dying] as (...all: never[]) => Promise<unknown>;
            if (!dies) return call(...args);
            dies = false;
            if (when === "after") await call(...args);
            throw new Error("died");
          },
        }));
        const prepared = await prepare(open(), 1, ...numbered(0, 500));
        dies = true;
        await expect(open().commit(prepared, permit)).rejects.toThrow("died");
        const next = open("next", 4);
        await next.commit(prepared, permit);
        await next.sweep([]);
        await next.commit(prepared, permit);
        expect(shown().length).toBeGreaterThan(3);
        expect([staged(), manifests().length, memory.rewritten()]).toEqual([[], 1, []]);
        const rows = shown().flatMap((key) => text(key).trimEnd().split("\n"));
        expect(rows.map((line) => (JSON.parse(line) as Row).n)).toEqual(numbered(0, 500).map(({ n }) => n));
      }
    },
  );

  it("C4 a file that its reader took away does not come again, and is not missed by who commits again", async () => {
    const { open, shown, memory } = world();
    const prepared = await prepare(open(), 1, { n: 1 });
    await open().commit(prepared, permit);
    await memory.objects.remove(bucket, shown());
    await open("later", 4).commit(prepared, permit);
    expect(shown()).toEqual([]);
  });

  it("C4 a file that its reader took away does not come again from what lingers in the staging folder", async () => {
    const { open, shown, staged, memory } = world({}, () => ({ remove: async () => undefined }));
    const prepared = await prepare(open(), 1, { n: 1 });
    await open().commit(prepared, permit);
    expect(staged()).toHaveLength(1);
    await memory.objects.remove(bucket, shown());
    await open("later", 4).commit(prepared, permit);
    expect(shown()).toEqual([]);
  });

  it("C4 one that is neither staged nor shown is lost: corrupt, by both names", async () => {
    const { open, staged, memory, manifests } = world();
    const prepared = await prepare(open(), 1, { n: 1 });
    await memory.objects.remove(bucket, staged());
    await expect(open().commit(prepared, permit)).rejects.toMatchObject({
      kind: "corrupt",
      message: expect.stringMatching(
        /^neither "rows\/_tidemark\/staged\/.*-1-0" nor "rows\/out-.*00000\.jsonl" is in the bucket "acme-lake".*restore/,
      ),
    });
    expect(manifests()).toEqual([]);
  });

  it("C4 one that is shown with another size is corrupt", async () => {
    const { open, staged, memory } = world();
    const prepared = await prepare(open(), 1, { n: 1 });
    await memory.objects.remove(bucket, staged());
    await memory.objects.put(bucket, `rows/${unique(1)}-00000.jsonl`, Buffer.from("something else"));
    await expect(open().commit(prepared, permit)).rejects.toMatchObject({
      kind: "corrupt",
      message: expect.stringContaining("has 14 bytes, 8 were staged"),
    });
  });

  it("B3 is not acked where it could not be staged, and is when it is tried again", async () => {
    let refused = 10;
    const { open, shown, text } = world({}, (objects) => ({
      async put(name, key, bytes) {
        if (key.includes("/staged/") && refused-- > 0) throw new Error("refused");
        await objects.put(name, key, bytes);
      },
    }));
    const writer = open();
    writer.write({ n: 1 });
    const sealed = writer.seal(unique(1));
    await expect(sealed?.prepare()).rejects.toThrow("refused");
    refused = 0;
    await writer.commit((await sealed?.prepare())?.prepared ?? null, permit);
    expect(shown().map(text)).toEqual(['{"n":1}\n']);
  });

  it("C2 a redirect of bucket or prefix does not move what was prepared", async () => {
    const { open, memory } = world();
    const prepared = await prepare(open(), 1, { n: 1 });
    memory.createBucket("acme-other");
    await writerOf(
      s3Files<Row>({ bucket: "other", prefix: "elsewhere" }),
      sinkResources({ objects: memory.objects }),
    ).commit(prepared, permit);
    expect(memory.keys("acme-other")).toEqual([]);
    expect(memory.keys(bucket)).toContain(`rows/${unique(1)}-00000.jsonl`);
  });
});

describe("what other engines have lost", () => {
  // FLINK-39778: rows after the last roll of a file were not in the checkpoint.
  it("FLINK-39778 rows after the last roll are staged at the cut, whatever was rolled before", async () => {
    for (const tail of [0, 1, 7]) {
      const { open, shown, staged, text } = world({ rollBytes: 1_024 });
      const writer = open();
      let n = 0;
      for (; writer.waiting === 0; n++) writer.write({ n });
      await writer.flush();
      expect(staged()).toHaveLength(1);
      for (const row of numbered(n, tail)) writer.write(row);
      await writer.commit(await prepare(writer, 1), permit);
      const rows = shown().flatMap((key) => text(key).trimEnd().split("\n"));
      expect(rows.map((line) => (JSON.parse(line) as Row).n)).toEqual(numbered(0, n + tail).map((row) => row.n));
      expect(shown()).toHaveLength(tail === 0 ? 1 : 2);
    }
  });
});

describe("what a record did is taken back", () => {
  it("since the mark alone, in every partition, also where files were rolled in between", async () => {
    const { open, shown, text } = world({ rollBytes: 2_048, partitionBy: ({ airport = "none" }) => ({ airport }) });
    const writer = open();
    const airports = ["ATL", "BOS", "JFK"];
    for (let n = 0; n < 3_000; n++) {
      writer.mark();
      for (const airport of airports.slice(0, (n % 3) + 1)) writer.write({ n, airport });
      if (n % 3 === 1) writer.rollback();
      if (n % 700 === 0) await writer.flush();
    }
    writer.mark();
    writer.write({ n: -1, airport: "taken back with its partition" });
    writer.rollback();
    await writer.commit(await prepare(writer, 1), permit);
    for (const [index, airport] of airports.entries()) {
      const files = shown().filter((key) => key.startsWith(`rows/airport=${airport}/`));
      expect(files.length).toBeGreaterThan(2);
      const found = files.flatMap((key) => text(key).trimEnd().split("\n")).map((line) => (JSON.parse(line) as Row).n);
      const kept = numbered(0, 3_000)
        .map(({ n }) => n)
        .filter((n) => n % 3 !== 1 && n % 3 >= index);
      expect(found).toEqual(kept);
    }
    expect(shown().every((key) => /^rows\/airport=(ATL|BOS|JFK)\//.test(key))).toBe(true);
  });
});

describe("partitions", () => {
  it("are folders; one more than allowed between two checkpoints is refused, and changes nothing", async () => {
    const { open, shown } = world({ partitionsMax: 2, partitionBy: ({ n }) => ({ year: 2026, n }) });
    const writer = open();
    for (const n of [1, 2, 1, 2]) writer.write({ n });
    const third = {
      kind: "invalid",
      message: expect.stringContaining('more than 2 partitions between two checkpoints, the next is "year=2026/n=3/"'),
    };
    expect(() => writer.write({ n: 3 })).toThrow(expect.objectContaining(third));
    await writer.commit(await prepare(writer, 1), permit);
    expect(shown()).toEqual([
      `rows/year=2026/n=1/${unique(1)}-00000.jsonl`,
      `rows/year=2026/n=2/${unique(1)}-00001.jsonl`,
    ]);
    writer.write({ n: 3 });
  });

  it("have the same members in the same order for all rows, and keys that S3 takes", () => {
    const writer = world({ partitionBy: ({ n }) => (n === 1 ? { a: 1, b: 1 } : { b: 1, a: 1 }) }).open();
    writer.write({ n: 1 });
    expect(() => writer.write({ n: 2 })).toThrow('partitionBy gave "b/a" for a row and "a/b" for one before');
    const long = world({ partitionBy: () => ({ a: "é".repeat(450) }) }).open();
    expect(() => long.write({ n: 1 })).toThrow("a key of S3 has at most 1024 bytes");
  });
});

describe("what earlier sessions left", () => {
  it("goes, but for what an ack lists, what this session makes, and what others and newer ones do", async () => {
    const { open, staged, memory } = world();
    const listed = await prepare(open("dead"), 1, { n: 1 });
    await prepare(open("dead-2"), 2, { n: 2 });
    await prepare(open("older", 2), 2, { n: 2 });
    const writer = open("mine");
    await prepare(writer, 3, { n: 3 });
    for (const key of [`${task}12-newer-1-0`, "other-0a0b0c0d0e0f-0.0-1-x-1-0", `${task.replace("0.0", "0.1")}1-x-1-0`])
      await memory.objects.put(bucket, `rows/_tidemark/staged/${key}`, Buffer.from("x"));
    await writer.sweep([listed]);
    expect(staged().map((key) => key.slice("rows/_tidemark/staged/".length))).toEqual([
      "other-0a0b0c0d0e0f-0.0-1-x-1-0",
      `${task}12-newer-1-0`,
      `${task}3-dead-1-0`,
      `${task}3-mine-1-0`,
      `${task.replace("0.0", "0.1")}1-x-1-0`,
    ]);
  });
});

describe("the start", () => {
  it("C4 looks whether the bucket can be written, and leaves nothing there", async () => {
    const { open, keys } = world();
    await open().check();
    expect(keys()).toEqual([]);
    const missing = writerOf(s3Files<Row>({ bucket: "none" }), sinkResources());
    await expect(missing.check()).rejects.toMatchObject({
      kind: "invalid",
      message: expect.stringContaining('"acme-none" does not exist'),
    });
  });

  it.each([
    ["", "refused"],
    ["ro", "refused"],
    ["rows/", "refused"],
    ["rows/_tidemark/staged/", "refused"],
    ["rows/_tidemark/staged/out", "refused"],
    ["rows/old/", "taken"],
    ["other/", "taken"],
  ])("C4 a lifecycle rule for the prefix %j is %s", async (prefix, outcome) => {
    const { memory, open } = world();
    memory.setRules(bucket, [{ id: "tidy", prefix, effect: "expires objects after 7 days" }]);
    const checked = open().check();
    if (outcome === "taken") await checked;
    else
      await expect(checked).rejects.toMatchObject({
        kind: "invalid",
        message: expect.stringMatching(
          /^bucket "acme-lake": its lifecycle rule "tidy" expires objects after 7 days.*"rows\/_tidemark\/".*"staging"/,
        ),
      });
  });

  it("C4 a rule for the files themselves is fine where what is staged lies elsewhere", async () => {
    const { memory, open, keys } = world({ staging: "internal/rows" });
    memory.setRules(bucket, [{ id: "tidy", prefix: "rows/", effect: "expires objects after 7 days" }]);
    const writer = open();
    await writer.check();
    const prepared = await prepare(writer, 1, { n: 1 });
    expect(keys()).toEqual([`internal/rows/staged/${task}3-s1-1-0`]);
    await writer.commit(prepared, permit);
    expect(keys()).toEqual([`internal/rows/manifests/${unique(1)}.json`, `rows/${unique(1)}-00000.jsonl`]);
  });

  it("rules that nobody may read are passed over", async () => {
    await world({}, () => ({ rules: async () => ({ kind: "unknown", why: "AccessDenied" }) }))
      .open()
      .check();
  });
});

describe("what is wrong is told", () => {
  it("a deletion is refused: files are not taken back", () => {
    const writer = world().open();
    expect(() => writer.write(deleted({ n: 1 }))).toThrow(
      expect.objectContaining({ kind: "invalid", message: expect.stringContaining('s3Files "s3://acme-lake/rows/"') }),
    );
    expect(() => writer.write({ n: 1 })).not.toThrow();
  });

  it.each([
    ["no bucket", { bucket: "" }, '"bucket" must be a name'],
    ["an unknown option", { colour: 1 }, '"colour" is not known'],
    ["no format", { format: {} }, "give jsonLines(), csv() or parquet()"],
    ["no function", { partitionBy: "year" }, '"partitionBy": must be a function'],
    ["an async function", { partitionBy: async () => ({}) }, "async"],
    ["files too large for one put", { rollBytes: 65 * 1024 * 1024 }, "whole number from 1024 to 67108864"],
    ["too many partitions", { partitionsMax: 1e6 }, "whole number from 1 to 10000"],
    ["an empty name in the prefix", { prefix: "a//b" }, 'must be names with "/" between them'],
    ["a prefix that begins with a slash", { prefix: "/a" }, 'must be names with "/" between them'],
    ["a prefix with dots", { prefix: "a/../b" }, 'must be names with "/" between them'],
    [
      "staging where readers look",
      { prefix: "a", staging: "a/staged" },
      "where readers would take what is staged for files",
    ],
    ["no staging", { staging: "" }, '"staging" is empty'],
  ])("%s, when the pipeline is built", (_, options, message) => {
    const given = { bucket: "lake", ...options } as S3FilesOptions<Row>;
    expect(() => s3Files(given)).toThrow(
      expect.objectContaining({ kind: "invalid", message: expect.stringContaining(message) }),
    );
  });
});

it("requests are what the guide says: for each file a put and a copy, for each checkpoint a put, a head and a removal", async () => {
  const counts: Record<string, number> = {};
  const counted = (objects: Objects) =>
    Object.fromEntries(
      Object.entries(objects).map(([name, call]) => [
        name,
        (...args: never[]) => {
          counts[name] = (counts[name] ?? 0) + 1;
          return (call as (...all: never[]) => unknown)(...args);
        },
      ]),
    );
  const airport = (n: number) => `A${n % 20}`;
  const { open, shown } = world({ partitionBy: ({ n }) => ({ airport: airport(n) }) }, counted);
  const writer = open();
  await writer.check();
  expect(counts).toEqual({ rules: 1, put: 1, size: 1, remove: 1 });
  for (const name of Object.keys(counts)) counts[name] = 0;
  for (let checkpoint = 1; checkpoint <= 17; checkpoint++)
    await writer.commit(await prepare(writer, checkpoint, ...numbered(0, 200)), permit);
  expect(shown()).toHaveLength(340);
  expect(counts).toEqual({ rules: 0, put: 357, copy: 340, size: 17, remove: 17 });
});
