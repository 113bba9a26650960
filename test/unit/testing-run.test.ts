// runPipeline: the real code on memory ports in virtual time, for tests of users' pipelines.
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { dynamoTable, json, kinesisSource, list, pipeline, StreamError, value } from "../../lib/index.js";
import { runPipeline } from "../../lib/testing/run/run-pipeline.js";

const Flight = z.object({ origin: z.string(), delay: z.number().nullable() });
type Flight = z.infer<typeof Flight>;

const flights = pipeline("flight-delays", {}, (flow) =>
  flow
    .from("flights", kinesisSource({ stream: "flights", codec: json(Flight) }))
    .keyBy((flight) => flight.origin)
    .process("punctuality", {
      state: { flights: value(0), late: value(0), delays: list<number>() },
      onRecord(flight, { key, state }) {
        if (flight.delay === null) return;
        state.flights.update((n) => n + 1);
        state.delays.add(flight.delay);
        if (flight.delay > 15) state.late.update((n) => n + 1);
        return {
          airport: key,
          flights: state.flights.get(),
          late: state.late.get(),
          delays: [...state.delays.get()],
        };
      },
    })
    .to("airports", dynamoTable({ table: "airports", key: ["airport"] })),
);

const many: readonly Flight[] = Array.from({ length: 100 }, (_, n) => ({
  origin: ["JFK", "ATL", "SFO"][n % 3] ?? "",
  delay: n % 7 === 0 ? null : n,
}));

/** The same, computed naively. */
function expected(input: readonly Flight[]) {
  return ["ATL", "JFK", "SFO"].flatMap((airport) => {
    const delays = input.filter(({ origin, delay }) => origin === airport && delay !== null).map(({ delay }) => delay);
    const late = delays.filter((delay) => Number(delay) > 15).length;
    return delays.length === 0 ? [] : [{ airport, flights: delays.length, late, delays }];
  });
}

describe("runPipeline", () => {
  it("gives what a reader of each sink sees at the end, sorted by key", async () => {
    const run = await runPipeline(flights, { flights: many });
    expect(run.sinks.airports).toEqual(expected(many));
    expect(run).toMatchObject({ generations: 1, restarts: 0, crashes: 0 });
    expect(run.checkpoints).toBeGreaterThan(1);
  });

  it("gives the same with as many crashes as it is told to make", { timeout: 60_000 }, async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const run = await runPipeline(flights, { flights: many }, { crashes: seed, seed });
      expect(run.sinks.airports, `seed ${seed}`).toEqual(expected(many));
      expect(run.crashes, `seed ${seed}`).toBe(seed);
      expect(run.restarts, `seed ${seed}`).toBeGreaterThan(0);
    }
  });

  it("repeats a run by its seed, call by call", async () => {
    const traces = await Promise.all(
      [7, 7, 8].map(async (seed) => (await runPipeline(flights, { flights: many }, { crashes: 3, seed })).trace()),
    );
    expect(traces[0]?.length).toBeGreaterThan(100);
    expect(traces[1]).toEqual(traces[0]);
    expect(traces[2]).not.toEqual(traces[0]);
  });

  it("gives the same with lost and late answers", { timeout: 60_000 }, async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const faults = { lost: 0.05, slow: 0.02, log: 0.1, few: 0.5, pause: 0.002 };
      const run = await runPipeline(flights, { flights: many }, { faults, seed, crashes: 2 });
      expect(run.sinks.airports, `seed ${seed}`).toEqual(expected(many));
    }
  });

  it("ends without a record", async () => {
    expect((await runPipeline(flights, { flights: [] })).sinks.airports).toEqual([]);
  });

  it("takes records over several shards", async () => {
    const options = { shards: 4, partitionKeys: { flights: ({ origin }: Flight) => origin }, crashes: 2 };
    const run = await runPipeline(flights, { flights: many }, options);
    expect(run.sinks.airports).toEqual(expected(many));
  });

  it("costs nothing where the interval is long, and keeps state larger than a slice", async () => {
    const wide = pipeline("wide", { checkpoint: { interval: "1h" } }, (flow) =>
      flow
        .from("lines", kinesisSource({ stream: "lines", codec: json<{ readonly k: string; readonly text: string }>() }))
        .keyBy(({ k }) => k)
        .reduce("last", (_, newer) => newer)
        .to("lines", dynamoTable({ table: "lines", key: ["k"] })),
    );
    const lines = Array.from({ length: 40 }, (_, n) => ({ k: `k${n}`, text: String(n).repeat(9_000) }));
    const run = await runPipeline(wide, { lines }, { crashes: 4, seed: 2 });
    expect(run.sinks.lines).toHaveLength(40);
    expect(run.sinks.lines.find(({ k }) => k === "k9")?.text).toBe("9".repeat(9_000));
  });
});

describe("runPipeline with what is wrong", () => {
  it("rejects with the pipeline's failure, with its operator and position", async () => {
    const broken = pipeline("broken", {}, (flow) =>
      flow
        .from("numbers", kinesisSource({ stream: "numbers", codec: json<{ readonly n: number }>() }))
        .map(({ n }) => {
          if (n === 3) throw new Error("three is too many");
          return { n: String(n) };
        })
        .to("out", dynamoTable({ table: "out", key: ["n"] })),
    );
    const run = runPipeline(broken, { numbers: [1, 2, 3].map((n) => ({ n })) });
    await expect(run).rejects.toThrow(StreamError);
    await expect(run).rejects.toThrow(/three is too many/);
    await expect(run).rejects.toThrow(/numbers/);
  });

  it("rejects what the codec refuses", async () => {
    const run = runPipeline(flights, { flights: [{ origin: 7 } as unknown as Flight] });
    await expect(run).rejects.toMatchObject({ name: "StreamError", kind: "invalid", message: /origin/ });
  });

  it("names sources that are missing or unknown, and options out of range", async () => {
    await expect(runPipeline(flights, {} as never)).rejects.toThrow(/no array of records for the source "flights"/);
    const more = { flights: [], fligths: [] } as { readonly flights: readonly Flight[] };
    await expect(runPipeline(flights, more)).rejects.toThrow(/no source "fligths"/);
    await expect(runPipeline(flights, { flights: [] }, { crashes: -1 })).rejects.toThrow(/crashes is -1/);
    await expect(runPipeline(flights, { flights: [] }, { shards: 0 })).rejects.toThrow(/shards is 0/);
  });
});
