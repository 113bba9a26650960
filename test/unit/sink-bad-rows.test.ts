// A row that a target could never take is told when its record comes, or at the latest at the cut, by sink, place and remedy: before a
// checkpoint has it. So the pipeline fails as it was, and with a quarantine the rest goes on.
import {
  csv,
  dynamoCounters,
  dynamoTable,
  fileSink,
  json,
  kinesisSource,
  kinesisStream,
  parquet,
  pipeline,
  type Sink,
  s3Files,
} from "tidemark";
import { runPipeline } from "tidemark/testing";
import { describe, expect, it } from "vitest";

interface Row {
  readonly id: string;
  readonly n: unknown;
}

const large = (bytes: number) => "x".repeat(bytes);
const good: readonly Row[] = [1, 2, 3].map((n) => ({ id: `id-${n}`, n }));

interface Case {
  readonly sink: () => Sink<Row>;
  readonly bad: unknown;
  readonly told: RegExp;
}

const table = () => dynamoTable({ table: "rows", key: ["id"] }) as Sink<Row>;
const counters = () => dynamoCounters({ table: "rows", key: ["id"] }) as Sink<Row>;
const stream = () => kinesisStream<Row>({ stream: "rows", partitionKey: ({ id }) => id });
const files = (format: Parameters<typeof s3Files<Row>>[0]["format"]) => () =>
  s3Files<Row>({ bucket: "lake", ...(format === undefined ? {} : { format }) });
const columns = { id: "string", n: "int32" } as const;

const cases: Readonly<Record<string, Case>> = {
  "dynamoTable, without its key": {
    sink: table,
    bad: { n: 1 },
    told: /dynamoTable "rows": key attribute "id" of a row is missing; it must be a string/,
  },
  "dynamoTable, whose key is another type": {
    sink: table,
    bad: { id: 5, n: 1 },
    told: /dynamoTable "rows": key attribute "id" of a row is a number; it must be a string/,
  },
  "dynamoCounters, without its key": {
    sink: counters,
    bad: { n: 1 },
    told: /dynamoCounters "rows": key attribute "id" of a row is missing; it must be a string/,
  },
  "dynamoCounters, of a fraction": {
    sink: counters,
    bad: { id: "x", n: 0.5 },
    told: /dynamoCounters "rows": "n" of a row has a fraction.*count in smaller units/,
  },
  "kinesisStream, without a partition key": {
    sink: stream,
    bad: { n: 1 },
    told: /kinesisStream "rows": the partition key of a row must be a text/,
  },
  "kinesisStream, over 1 MiB with its envelope": {
    sink: stream,
    bad: { id: "x", n: large(1_048_576 - 100) },
    told: /kinesisStream "rows": a row has 1048\d{3} bytes with its key and envelope; .*put the body into S3/,
  },
  "s3Files, no value of its Parquet column": {
    sink: files(parquet({ columns }) as never),
    bad: { id: "x", n: "one" },
    told: /parquet: the column "n" of a row is a string, which is no int32: convert it before the sink/,
  },
  "s3Files, without a Parquet column": {
    sink: files(parquet({ columns }) as never),
    bad: { id: "x" },
    told: /parquet: the column "n" of a row is missing; "int32\?" would allow that/,
  },
  "s3Files, with a member that is no Parquet column": {
    sink: files(parquet({ columns }) as never),
    bad: { id: "x", n: 1, more: 1 },
    told: /parquet: a row has a member "more", which is no column: leave it out, or add it to "columns"/,
  },
  "s3Files, with a member that is no column of CSV": {
    sink: files(csv({ columns: ["id", "n"] })),
    bad: { id: "x", n: 1, more: 1 },
    told: /csv: a row has a member "more", which is no column; the columns are "id", "n"\. Leave it out/,
  },
};

const source = kinesisSource({ stream: "rows-in", codec: json<Row>() });
const place = /sink "out".*source "in", shard \S+, sequence number \d+/;

describe("a row for", () => {
  it.each(Object.entries(cases))("%s fails its record, by sink, place and remedy", async (_, { sink, bad, told }) => {
    const made = pipeline("p", {}, (flow) => flow.from("in", source).to("out", sink()));
    const failed = await runPipeline(made, { in: [...good, bad as Row] }).catch((error: unknown) => error);
    expect(failed).toMatchObject({ kind: "invalid", message: expect.stringMatching(told) });
    expect((failed as Error).message).toMatch(place);
  });

  it.each(Object.entries(cases))("Q1 %s is put aside, and the others are written", async (_, { sink, bad }) => {
    const deadLetters = fileSink({ folder: "dead" });
    const made = pipeline("p", { onBadRecord: "quarantine", deadLetters }, (flow) =>
      flow.from("in", source).to("out", sink()),
    );
    const run = await runPipeline(made, { in: [...good.slice(0, 2), bad as Row, ...good.slice(2)] }, { crashes: 1 });
    expect(run.sinks.out.map(({ id }) => id).sort()).toEqual(["id-1", "id-2", "id-3"]);
    expect(run.deadLetters).toMatchObject([{ step: 'sink "out"' }]);
  });
});

it("an item of more than 400 KB is told at the cut, before a checkpoint has it", async () => {
  const made = pipeline("p", {}, (flow) => flow.from("in", source).to("out", table()));
  await expect(runPipeline(made, { in: [...good, { id: "x", n: large(410_000) }] })).rejects.toMatchObject({
    kind: "invalid",
    message: expect.stringMatching(
      /sink "out": dynamoTable "rows": a row has 4\d{5} bytes, an item may have 409600 \(400 KB\): write less into it/,
    ),
  });
});
