import { dynamoTable, fileSource, json, kinesisSource, type PipelineOptions, pipeline, value } from "tidemark";
import { expect, it } from "vitest";
import type { Head } from "../../lib/model/head.js";
import { desired, request } from "./checkpoint-samples.js";
import { cloud } from "./runtime-world.js";

interface Flight {
  readonly airport: string;
  readonly n: number;
}

/** Counts flights by airport, and adds up their numbers: one that is taken twice or not at all shows. */
const counting = (options: PipelineOptions) =>
  pipeline("p", options, (flow) =>
    flow
      .from("flights", fileSource({ path: "flights.jsonl", codec: json<Flight>() }))
      .keyBy((flight) => flight.airport)
      .process("count", {
        state: { flights: value(0), sum: value(0) },
        onRecord(flight, { key, state }) {
          state.flights.update((n) => n + 1);
          state.sum.update((sum) => sum + flight.n);
          return { airport: key, flights: state.flights.get(), sum: state.sum.get() };
        },
      })
      .to("airports", dynamoTable({ table: "airports", key: ["airport"] })),
  );

const flights = Array.from(
  { length: 30_000 },
  (_, n): Flight => ({ airport: ["ATL", "BOS", "Zürich"][n % 3] ?? "", n }),
);
const content = flights.map((flight) => JSON.stringify({ ...flight, pad: "x".repeat(100) })).join("\n");

async function running(options: PipelineOptions, over: Parameters<typeof cloud>[1]) {
  const world = cloud(counting(options), over);
  world.tables.createTable("airports", [{ name: "airport", type: "string" }]);
  await world.disk.files.write("flights.jsonl", 0, Buffer.from(content));
  const rows = () =>
    world.tables
      .items("airports")
      .map(({ airport, flights: count, sum }) => [airport, count, sum])
      .sort();
  return { ...world, rows };
}

const expected = ["ATL", "BOS", "Zürich"].map((airport) => {
  const own = flights.filter((flight) => flight.airport === airport);
  return [airport, own.length, own.reduce((sum, flight) => sum + flight.n, 0)];
});

it("a file is read to its end, exactly once, and the pipeline is finished", async () => {
  const world = await running({ checkpoint: { interval: "1s" } }, {});
  await world.wish();
  const head = await world.until((found) => found.endedAt !== null, 300_000);
  expect([head?.status, head?.generation, head?.failures]).toEqual(["finished", 1, []]);
  expect(world.rows()).toEqual(expected);
});

it("a position that an operator keeps stays what it was when later records come", async () => {
  const firsts = pipeline("p", { checkpoint: { interval: "1s" } }, (flow) =>
    flow
      .from("flights", fileSource({ path: "flights.jsonl", codec: json<Flight>() }))
      .keyBy((flight) => flight.airport)
      .process("first", {
        state: { first: value<{ readonly sequenceNumber: string }>() },
        onRecord(_flight, { key, state, position }) {
          if (state.first.get() === undefined) state.first.set(position);
          return { airport: key, ...state.first.get() };
        },
      })
      .to("airports", dynamoTable({ table: "airports", key: ["airport"] })),
  );
  const world = cloud(firsts);
  world.tables.createTable("airports", [{ name: "airport", type: "string" }]);
  await world.disk.files.write("flights.jsonl", 0, Buffer.from('{"airport":"A"}\n{"airport":"B"}\n{"airport":"A"}\n'));
  await world.wish();
  await world.until((found) => found.endedAt !== null, 300_000);
  const rows = world.tables
    .items("airports")
    .map(({ airport, source, shard, sequenceNumber }) => [airport, source, shard, sequenceNumber]);
  expect(rows.sort()).toEqual([
    ["A", "flights", "lines", "0"],
    ["B", "flights", "lines", "16"],
  ]);
});

it("N1 P1 sessions hand a file over between two lines", async () => {
  const options: PipelineOptions = {
    checkpoint: { interval: "1s", timeout: "2s" },
    session: { reserve: "4s" },
  };
  // A block takes two seconds, so that a session reads some of them.
  const way = (method: string, what: unknown) => (method === "read" && String(what).startsWith("file:") ? 2_000 : 0);
  const world = await running(options, { way, lifetime: 10_000 });
  await world.wish();
  const head = await world.until((found) => found.endedAt !== null, 300_000);
  expect([head?.status, head?.generation]).toEqual(["finished", 1]);
  expect(world.outcomes.filter(({ kind }) => kind === "handover").length).toBeGreaterThan(0);
  expect(world.rows()).toEqual(expected);
});

it("B1 a file that is finished, and waits for no children, is no change", async () => {
  const both = pipeline("p", { checkpoint: { interval: "1s" } }, (flow) => {
    const airports = dynamoTable({ table: "airports", key: ["airport"] });
    flow.from("file", fileSource({ path: "flights.jsonl", codec: json<Flight>() })).to("from-file", airports);
    flow.from("stream", kinesisSource({ stream: "flights", codec: json<Flight>() })).to("from-stream", airports);
  });
  const world = cloud(both);
  world.stream.createStream("flights", 1);
  world.tables.createTable("airports", [{ name: "airport", type: "string" }]);
  await world.disk.files.write("flights.jsonl", 0, Buffer.from(content.slice(0, 1_000).replace(/\n[^\n]*$/, "")));
  await world.wish();
  const isRead = ({ completed }: Head) => completed !== null && world.tables.items("airports").length === 3;
  await world.until(isRead, 60_000);
  await world.clock.sleep(5_000);
  const settled = (await world.head())?.completed?.checkpointId;
  await world.clock.sleep(60_000);
  const head = await world.head();
  expect(settled).toBeGreaterThan(0);
  expect([head?.status, head?.completed?.checkpointId]).toEqual(["running", settled]);
});

it("K3 a session that takes over, and finds another file, fails the pipeline", async () => {
  const options: PipelineOptions = { checkpoint: { interval: "1s", timeout: "2s" }, session: { reserve: "4s" } };
  const way = (method: string, what: unknown) => (method === "read" && String(what).startsWith("file:") ? 2_000 : 0);
  const world = await running(options, { way, lifetime: 10_000 });
  await world.wish();
  await world.until((found) => found.completed !== null, 60_000);
  // Of the same length, with lines at the same bytes, and not replaced as far as the session before can see.
  await world.disk.files.write("flights.jsonl", 0, Buffer.from(content.replace("ATL", "ATX")));
  const head = await world.until((found) => found.status === "failed", 60_000);
  expect(head?.failures.at(-1)?.message).toMatch(
    /"file:flights.jsonl" is not the file that the checkpoint has positions in/,
  );
});

it("K3 a file that grows while it is read fails the pipeline, which goes on when the file of before is back", async () => {
  const way = (method: string, what: unknown) => (method === "read" && String(what).startsWith("file:") ? 4_000 : 0);
  const world = await running({ checkpoint: { interval: "1s" } }, { way });
  const { files } = world.disk;
  await world.wish();
  await world.until((found) => found.completed !== null, 60_000);
  await files.write("flights.jsonl", Buffer.byteLength(content), Buffer.from("\n{}"));
  const failed = await world.until((found) => found.status === "failed", 60_000);
  expect(failed?.failures.at(-1)?.message).toMatch(/file "flights.jsonl" had \d+ bytes and has \d+, while it was read/);
  // Refused: its positions are in another file.
  await world.wish(desired({ request: request({ id: "again" }) }), 1);
  await world.clock.sleep(60_000);
  expect(await world.head()).toMatchObject({ status: "failed", generation: 1 });
  // A copy is the same file.
  await files.write("copy", 0, Buffer.from(content));
  await files.move("copy", "flights.jsonl");
  await world.wish(desired({ request: request({ id: "once more" }) }), 2);
  const head = await world.until((found) => found.status === "finished", 300_000);
  expect(head).toMatchObject({ status: "finished", generation: 2 });
  expect(world.rows()).toEqual(expected);
});
