// Pipelines that write files in buckets, run in memory, crashed on the way: what a reader of the bucket sees.
import { csv, json, jsonLines, kinesisSource, parquet, pipeline, type S3FilesOptions, s3Files, value } from "tidemark";
import { runPipeline } from "tidemark/testing";
import { describe, expect, it } from "vitest";

interface Item {
  readonly id: string;
  readonly n: number;
  readonly note?: string;
}

const items: readonly Item[] = Array.from({ length: 60 }, (_, n) => ({ id: `id-${n % 5}`, n }));
const seeds = [1, 2, 3, 4, 5, 6];
const source = kinesisSource({ stream: "items", codec: json<Item>() });

const writing = (options: Partial<S3FilesOptions<Item>>) =>
  pipeline("files", {}, (flow) =>
    flow.from("items", source).to("files", s3Files<Item>({ bucket: "lake", ...options })),
  );

describe("runPipeline with files in a bucket", () => {
  it.each(seeds)("C4 shows the rows of complete checkpoints, each once, in their order (seed %i)", async (seed) => {
    for (const format of [jsonLines<Item>(), jsonLines<Item>({ compression: "gzip" })]) {
      const { sinks, crashes } = await runPipeline(writing({ format }), { items }, { crashes: 4, seed });
      expect(sinks.files).toEqual(items);
      expect(crashes).toBe(4);
    }
  });

  it.each(seeds)("C4 R5 the same behind lost answers, late writes and slow calls (seed %i)", async (seed) => {
    const faults = { lost: 0.05, slow: 0.02 };
    const run = await runPipeline(
      writing({ prefix: "a/b", rollBytes: 1_024 }),
      { items },
      { crashes: 2, seed, faults },
    );
    expect(run.sinks.files).toEqual(items);
  });

  it("shows the rows of each partition", async () => {
    const partitioned = writing({ partitionBy: ({ id }) => ({ id }) });
    const { sinks } = await runPipeline(partitioned, { items }, { crashes: 3 });
    expect(sinks.files).toEqual([0, 1, 2, 3, 4].flatMap((key) => items.filter(({ id }) => id === `id-${key}`)));
  });

  it("shows CSV as texts by column, and Parquet as values", async () => {
    const odd: readonly Item[] = [
      { id: "plain", n: 1 },
      { id: 'a "quote", a comma', n: -2.5, note: "" },
      { id: "two\r\nlines", n: 3, note: "x" },
    ];
    const texts = await runPipeline(writing({ format: csv({ columns: ["id", "n", "note"] }) }), { items: odd });
    expect(texts.sinks.files).toEqual([
      { id: "plain", n: "1", note: null },
      { id: 'a "quote", a comma', n: "-2.5", note: "" },
      { id: "two\r\nlines", n: "3", note: "x" },
    ]);
    const columns = { id: "string", n: "double", note: "string?" } as const;
    const values = await runPipeline(writing({ format: parquet({ columns }) }), { items: odd }, { crashes: 1 });
    expect(values.sinks.files).toEqual(odd.map((item) => ({ note: null, ...item })));
  });

  it("a row that does not fit names the sink, the column and the record's position", async () => {
    const format = parquet({ columns: { id: "string", n: "int32" } });
    const bad = [...items.slice(0, 3), { id: "x", n: 0.5 }];
    await expect(runPipeline(writing({ format }), { items: bad })).rejects.toMatchObject({
      kind: "invalid",
      message: expect.stringMatching(/files.*"n" of a row is a number with a fraction.*which is no int32/s),
    });
    await expect(runPipeline(writing({ format }), { items: bad })).rejects.toThrow(/shard|sequence/);
  });

  it("Q1 a row that does not fit is put aside, and the others are written", async () => {
    const format = parquet({ columns: { id: "string", n: "int32" } });
    const deadLetters = s3Files({ bucket: "lake", prefix: "dead" });
    const made = pipeline("files", { onBadRecord: "quarantine", deadLetters }, (flow) =>
      flow.from("items", source).to("files", s3Files<Item>({ bucket: "lake", prefix: "files", format })),
    );
    const input = items.flatMap((item) => (item.n % 10 === 3 ? [{ ...item, n: 0.5 }, item] : [item]));
    const run = await runPipeline(made, { items: input }, { crashes: 2 });
    expect(run.sinks.files).toEqual(items);
    expect(run.deadLetters).toHaveLength(6);
  });

  it("K1 many tasks write files beside one another, each with names of its own", async () => {
    const counting = pipeline("files", { parallelism: 3 }, (flow) =>
      flow
        .from("items", source)
        .keyBy(({ id }) => id)
        .process("number", {
          state: { n: value(0) },
          onRecord(_, { key, state }) {
            state.n.update((n) => n + 1);
            return { id: key, n: state.n.get() };
          },
        })
        .to("files", s3Files<Item>({ bucket: "lake" })),
    );
    const { sinks } = await runPipeline(counting, { items }, { crashes: 3, shards: 3 });
    for (const id of ["id-0", "id-1", "id-2", "id-3", "id-4"]) {
      const found = sinks.files.filter((row) => row.id === id).map(({ n }) => n);
      expect(found).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
    }
  });
});
