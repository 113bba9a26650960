import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { deleted, dynamoCounters, json, kinesisSource, pipeline, value } from "tidemark";
import { runPipeline } from "tidemark/testing";
import { describe, expect, it } from "vitest";
import { awsClients } from "../../lib/connectors/clients.js";
import { dynamoTables } from "../../lib/connectors/dynamo-tables.js";
import { transactionsOf } from "../../lib/connectors/increments.js";
import { StreamError } from "../../lib/model/errors.js";
import { checkpointId, generation, taskId } from "../../lib/model/ids.js";
import { segmentToken } from "../../lib/pipeline/segment-token.js";
import type { LogWriter, Sink } from "../../lib/pipeline/sink.js";
import { markAttribute, type Tables, type TableTransaction } from "../../lib/ports/tables.js";
import { permitFor } from "../../lib/testing/conformance/sink-permits.js";
import { memoryResources } from "../../lib/testing/conformance/sink-resources.js";
import { type KeySchema, memoryTables } from "../../lib/testing/memory/tables.js";

const airportKey: KeySchema = [{ name: "airport", type: "string" }];

function open(sink: Sink<never>, over: { readonly tables?: Tables } = {}): LogWriter {
  if (sink.delivery !== "log") throw new Error("counters are a log");
  return sink.open(memoryResources(over));
}

const totals = () => dynamoCounters({ table: "totals", key: ["airport"] }) as Sink<never>;

function counting(key: KeySchema = airportKey) {
  const memory = memoryTables();
  memory.createTable("totals", key);
  const sent: TableTransaction[] = [];
  const failures: StreamError[] = [];
  const tables: Tables = {
    ...memory.tables,
    async transact(transaction) {
      sent.push(transaction);
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      return memory.tables.transact(transaction);
    },
  };
  return { memory, tables, sent, failures };
}

const apply = (writer: LogWriter, checkpoint: number, rows: readonly unknown[], chunk = 0) => {
  const place = { sink: "out", incarnation: "0a0b0c0d0e0f", task: taskId(0, 0), generation: generation(1) };
  const token = segmentToken({ ...place, checkpointId: checkpointId(checkpoint), chunk });
  return writer.apply("totals", { token, rows }, permitFor(99));
};

describe("what is sent", () => {
  it("C5 increments of a key are one, and a transaction has ninety-nine keys", async () => {
    const { tables, sent, memory } = counting();
    const writer = open(totals(), { tables });
    const rows = Array.from({ length: 1_000 }, (_, n) => ({ airport: `A${n % 150}`, flights: 1, late: n % 2 }));
    await apply(writer, 7, rows);
    // Keys come again behind the ninety-ninth: the second transaction has those from A99 on, and then the first again.
    expect(sent.map(({ increments }) => increments.length)).toEqual(expect.arrayContaining([99]));
    expect(sent.length).toBeLessThan(15);
    expect(sent[0]?.mark).toEqual({
      key: { airport: "~tidemark/out-0a0b0c0d0e0f-00000001-0.0" },
      position: "000000000007-000000-0000",
    });
    const items = memory.items("totals").filter((item) => !Object.hasOwn(item, markAttribute));
    expect(items).toHaveLength(150);
    expect(items.reduce((sum, { flights }) => sum + Number(flights), 0)).toBe(1_000);
    expect(items.reduce((sum, { late }) => sum + Number(late), 0)).toBe(500);
  });

  it("C5 a segment of one key is one transaction", async () => {
    const { tables, sent } = counting();
    await apply(
      open(totals(), { tables }),
      1,
      Array.from({ length: 1_000 }, () => ({ airport: "JFK", flights: 2 })),
    );
    expect(sent.map(({ increments }) => increments)).toEqual([[{ key: { airport: "JFK" }, add: { flights: 2_000n } }]]);
  });

  it("C5 what came through before a failure is passed over, transaction by transaction", async () => {
    const { tables, sent, failures, memory } = counting();
    const rows = Array.from({ length: 300 }, (_, n) => ({ airport: `A${n}`, flights: 1 }));
    const denied = new StreamError("invalid", "denied");
    failures.push(...Array.from({ length: 2 }, () => new StreamError("transient", "conflict")), denied);
    const writer = open(totals(), { tables });
    await expect(apply(writer, 1, rows)).rejects.toThrow("denied");
    await apply(writer, 1, rows);
    await apply(writer, 1, rows);
    expect(new Set(memory.items("totals").map(({ flights }) => flights))).toEqual(new Set([1, undefined]));
    expect(sent.map(({ mark }) => mark.position.slice(-4))).toEqual([
      "0000",
      "0000",
      "0000",
      "0000",
      "0001",
      "0002",
      "0003",
      "0000",
    ]);
  });

  it("attributes of one item beyond a hundred are another transaction", () => {
    const rows = [0, 1, 2].map((n) => ({
      airport: "JFK",
      ...Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`${n} ${index}`, 1])),
    }));
    const all = transactionsOf(rows, [{ name: "airport", type: "string" }], () => "JFK");
    expect(all.map((some) => some.map(({ add }) => Object.keys(add).length))).toEqual([[60], [60], [60]]);
  });

  it("C5 marks of tables with two key attributes, and of bytes, are told apart too", async () => {
    for (const type of ["string", "number", "bytes"] as const) {
      const key: KeySchema = [
        { name: "part", type: "bytes" },
        { name: "sort", type },
      ];
      const { tables, memory } = counting(key);
      const sink = dynamoCounters({ table: "totals", key: { part: "bytes", sort: type } }) as Sink<never>;
      const row = { part: Buffer.from("p"), sort: { string: "s", number: 5, bytes: Buffer.from("b") }[type], n: 3 };
      const writer = open(sink, { tables });
      await writer.check();
      for (let times = 0; times < 3; times++) await apply(writer, 1, [row]);
      expect(memory.items("totals")).toHaveLength(3);
      expect(memory.items("totals").filter(({ n }) => n === 3)).toHaveLength(1);
    }
  });
});

describe("a row", () => {
  const validate = (row: unknown) => open(totals()).validate(row);

  it.each([
    [{ airport: "JFK" }, /no attribute but its key/],
    [{ flights: 1 }, /"airport" of a row is missing/],
    [{ airport: "", flights: 1 }, /"airport" of a row is empty/],
    [{ airport: "~tidemark/x", flights: 1 }, /begins with "~tidemark\/"/],
    [{ airport: "JFK", flights: "1" }, /"flights" of a row is a string, which cannot be added/],
    [{ airport: "JFK", flights: null }, /"flights" of a row is null/],
    [{ airport: "JFK", flights: Number.NaN }, /"flights" of a row is NaN/],
    [{ airport: "JFK", flights: 0.5 }, /has a fraction.*cents/],
    [{ airport: "JFK", flights: 2 ** 53 }, /larger than a number holds exactly.*bigint/],
    [{ airport: "JFK", flights: 10n ** 34n }, /more than 34 digits/],
    [{ airport: "JFK", "~position": 1 }, /that name is ours/],
    [{ airport: "JFK", ...Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`a${n}`, 1])) }, /101 attributes/],
    [deleted({ airport: "JFK" }), /deleted\(\)/],
    ["JFK", /a row is a string, not an object/],
  ])("is refused (%#)", (row, message) => {
    expect(() => validate(row)).toThrow(message);
    expect(() => validate(row)).toThrow(/^dynamoCounters "totals": /);
  });

  it("is taken: numbers and bigints, less than 0 too, and nothing where there is undefined", () => {
    for (const row of [
      { airport: "JFK", flights: Number.MAX_SAFE_INTEGER, late: -1 },
      { airport: "JFK", flights: 10n ** 34n - 1n },
      { airport: "JFK", flights: 0, late: undefined },
    ])
      expect(() => validate(row)).not.toThrow();
  });

  it("that cannot be added fails its record, by sink and position", async () => {
    const source = kinesisSource({ stream: "in", codec: json<{ readonly n: unknown }>() });
    const made = pipeline("p", {}, (flow) =>
      flow
        .from("in", source)
        .map(({ n }) => ({ airport: "JFK", n }))
        .to("totals", dynamoCounters({ table: "totals", key: ["airport"] })),
    );
    await expect(runPipeline(made, { in: [{ n: 1 }, { n: "two" }] })).rejects.toMatchObject({
      kind: "invalid",
      message: expect.stringMatching(/sink "totals".*sequence number \d+.*"n" of a row is a string/),
    });
  });
});

describe("a table", () => {
  it("whose partition key is a number is refused when the pipeline is built", () => {
    const key = { year: "number", airport: "string" } as const;
    expect(() => dynamoCounters({ table: "t", key })).toThrow(/partition key "year" is a number, and the table must/);
    expect(() => dynamoCounters({ table: "t", key: { airport: "string", year: "number" } })).not.toThrow();
    expect(() => dynamoCounters({ table: "", key: ["airport"] })).toThrow(/must name a table/);
    expect(() => dynamoCounters({ table: "t", key: [] as never })).toThrow(/it has no key/);
  });

  it("that is absent, or has another key, is told at the start", async () => {
    await expect(open(totals()).check()).rejects.toMatchObject({ kind: "invalid", message: /no such table/ });
    const { tables } = counting([{ name: "other", type: "string" }]);
    await expect(open(totals(), { tables }).check()).rejects.toThrow(
      /its key is \(other: string\), the pipeline writes by \(airport: string\); change dynamoCounters's "key"/,
    );
  });

  it("C5 whose endpoint has no transactions is told at the start", async () => {
    const { tables, failures } = counting();
    failures.push(new StreamError("invalid", "this endpoint has no transactions"));
    await expect(open(totals(), { tables }).check()).rejects.toThrow(
      /dynamo-counters "totals": check: .*no transactions/,
    );
  });

  it.each([
    [400, "com.amazonaws.dynamodb.v20120810#UnknownOperationException"],
    [501, "InternalFailure"],
  ])("C5 an endpoint that answers %i %s has no transactions", async (status, __type) => {
    const server = createServer((request, response) => {
      request.resume();
      response.writeHead(status, { "content-type": "application/x-amz-json-1.0" }).end(JSON.stringify({ __type }));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const credentials = { accessKeyId: "test", secretAccessKey: "test" };
    const clients = awsClients({ endpoint, region: "us-east-1", credentials, attempts: 1 });
    const mark = { key: { airport: "m" }, position: "0" };
    await expect(
      dynamoTables(clients.dynamo).transact({ table: "totals", increments: [], mark }),
    ).rejects.toMatchObject({
      kind: "invalid",
      message: expect.stringMatching(/table "totals": this endpoint has no transactions/),
    });
    clients.destroy();
    server.closeAllConnections();
    server.close();
  });

  it("C5 an attribute that is no number there fails the pipeline, and changes nothing", async () => {
    const { tables, memory } = counting();
    memory.plant("totals", { airport: "JFK", flights: "many" });
    const rows = [
      { airport: "ATL", flights: 1 },
      { airport: "JFK", flights: 1 },
    ];
    await expect(apply(open(totals(), { tables }), 1, rows)).rejects.toMatchObject({ kind: "invalid" });
    expect(memory.items("totals")).toEqual([{ airport: "JFK", flights: "many" }]);
  });
});

interface Flight {
  readonly origin: string;
  readonly delay: number;
}
const flights: readonly Flight[] = Array.from({ length: 90 }, (_, n) => ({ origin: "ABC"[n % 3] ?? "", delay: n }));

describe("runPipeline", () => {
  it.each([1, 2, 3, 4, 5, 6])("C5 counts each record once, killed and with lost answers (seed %i)", async (seed) => {
    const made = pipeline("counting", { parallelism: 2 }, (flow) => {
      const source = flow.from("flights", kinesisSource({ stream: "flights", codec: json<Flight>() }));
      source
        .map(({ origin, delay }) => ({ airport: origin, flights: 1, delay: BigInt(delay) + 10n ** 20n }))
        .to("totals", dynamoCounters({ table: "totals", key: ["airport"] }));
      source
        .keyBy(({ origin }) => origin)
        .process("late", {
          state: { late: value(0) },
          onRecord({ delay }, { key }) {
            return delay > 44 ? { airport: key, late: 1 } : undefined;
          },
        })
        .to("late", dynamoCounters({ table: "late", key: ["airport"] }));
    });
    const run = await runPipeline(made, { flights }, { seed, crashes: 3, shards: 2, faults: { lost: 0.03 } });
    const sum = (origin: string) =>
      flights.filter((flight) => flight.origin === origin).reduce((total, { delay }) => total + BigInt(delay), 0n);
    expect(run.sinks.totals).toEqual(
      ["A", "B", "C"].map((airport) => ({ airport, flights: 30, delay: sum(airport) + 30n * 10n ** 20n })),
    );
    expect(run.sinks.late).toEqual(["A", "B", "C"].map((airport) => ({ airport, late: 15 })));
    expect(run.crashes).toBe(3);
  });
});
