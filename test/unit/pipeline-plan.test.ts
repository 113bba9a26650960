import {
  type Flow,
  isPipeline,
  json,
  kinesisSource,
  list,
  map,
  type PipelineOptions,
  pipeline,
  type Sink,
  text,
  value,
} from "tidemark";
import { expect, it } from "vitest";
import { canonicalJson } from "../../lib/model/canonical-json.js";
import { sha256 } from "../../lib/model/sha256.js";
import { inputsOf } from "../../lib/pipeline/plan.js";

interface Flight {
  readonly origin: string;
  readonly delay: number | null;
}

function memorySink<T>(table: string, keyOf: (row: T) => string): Sink<T> {
  return {
    kind: "memory",
    delivery: "held",
    config: { table },
    keyOf,
    open: (resources) => ({
      target: resources.bind("table", table),
      check: async () => {},
      close: async () => {},
      validate: () => {},
      apply: async () => {},
    }),
  };
}

const airports = memorySink<{ readonly airport: string }>("airports", (row) => row.airport);
const flightSource = () => kinesisSource({ stream: "flights", codec: json<Flight>(), start: "trim-horizon" });

const punctuality = (flow: Flow) =>
  flow
    .from("flights", flightSource())
    .filter((flight) => flight.origin !== "")
    .keyBy((flight) => flight.origin)
    .process("punctuality", {
      version: 2,
      state: { flights: value(0), last: value<string>(), seen: list<string>(), per: map<string, number>() },
      onRecord(flight, { key, state }) {
        state.flights.update((n) => n + 1);
        return { airport: key, late: flight.delay };
      },
    })
    .to("airports", airports);

const flights = (options: PipelineOptions = {}) => pipeline("flight-delays", options, punctuality);

it("the plan is a JSON graph, in the order of building", () => {
  const { plan } = flights();
  expect(JSON.parse(JSON.stringify(plan.graph))).toEqual({
    format: 1,
    name: "flight-delays",
    nodes: [
      {
        id: 0,
        kind: "source",
        name: "flights",
        source: {
          kind: "kinesis",
          config: { stream: "flights", codec: "json", start: "horizon", end: null, aggregation: "kpl" },
        },
      },
      { id: 1, kind: "filter", input: 0 },
      { id: 2, kind: "keyBy", input: 1 },
      {
        id: 3,
        kind: "process",
        name: "punctuality",
        version: 2,
        input: 2,
        state: {
          flights: { kind: "value", initial: 0 },
          last: { kind: "value" },
          seen: { kind: "list" },
          per: { kind: "map" },
        },
      },
      { id: 4, kind: "sink", name: "airports", input: 3, sink: { kind: "memory", config: { table: "airports" } } },
    ],
  });
});

it("functions, sources and sinks lie beside the graph, by node and by name", () => {
  const { plan } = flights();
  expect([...plan.functions.keys()]).toEqual([1, 2, 3]);
  expect(plan.functions.get(2)?.({ origin: "JFK", delay: 1 })).toBe("JFK");
  expect([...plan.sources.keys()]).toEqual(["flights"]);
  const decoded = plan.sources.get("flights")?.codec.decode(Buffer.from('{"origin":"JFK","delay":2}'));
  expect(decoded).toEqual({ origin: "JFK", delay: 2 });
  expect(plan.sinks.get("airports")).toBe(airports);
});

it("the defaults of all options, in milliseconds", () => {
  expect(flights().plan.settings).toEqual({
    parallelism: 1,
    operatorParallelism: {},
    interval: 10_000,
    timeout: 30_000,
    minPause: 0,
    tolerableFailures: 3,
    retained: 10,
    mode: "exactly-once",
    alignment: "unaligned",
    reserve: 90_000,
    restart: { attempts: 10, window: 600_000, initialDelay: 1_000, maxDelay: 60_000 },
    suspendAfter: null,
    onBadRecord: "fail",
  });
});

it("options that are given take the place of the defaults", () => {
  const { settings } = flights({
    parallelism: 64,
    checkpoint: {
      interval: "1.5s",
      timeout: "20s",
      minPause: "500ms",
      tolerableFailures: 0,
      retained: 3,
      mode: "exactly-once",
      alignment: "aligned",
    },
    session: { reserve: "40s" },
    restart: { attempts: 2, window: "1h", initialDelay: "2s", maxDelay: "2s" },
    onBadRecord: "fail",
  }).plan;
  expect(settings).toEqual({
    parallelism: 64,
    operatorParallelism: {},
    interval: 1_500,
    timeout: 20_000,
    minPause: 500,
    tolerableFailures: 0,
    retained: 3,
    mode: "exactly-once",
    alignment: "aligned",
    reserve: 40_000,
    restart: { attempts: 2, window: 3_600_000, initialDelay: 2_000, maxDelay: 2_000 },
    suspendAfter: null,
    onBadRecord: "fail",
  });
  expect(flights({ checkpoint: { minPause: "0s" }, idle: "never" }).plan.settings).toEqual(flights().plan.settings);
});

it("the fingerprint is the SHA-256 of the graph's canonical JSON, the same from build to build", () => {
  const { plan, fingerprint } = flights();
  expect(fingerprint).toBe(plan.fingerprint);
  expect(fingerprint).toBe(sha256(canonicalJson(JSON.parse(JSON.stringify(plan.graph)))));
  expect(flights().fingerprint).toBe(fingerprint);
});

it("the fingerprint is of the graph alone: options leave it, a name, a state, a version or a step changes it", () => {
  const build = (change: { name?: string; operator?: string; version?: number; initial?: unknown; step?: boolean }) =>
    pipeline(change.name ?? "p", {}, (flow) => {
      const lines = flow.from("lines", kinesisSource({ stream: "lines", codec: text }));
      const stepped = change.step === true ? lines.map((line) => line) : lines;
      return stepped
        .keyBy((line) => line)
        .process(change.operator ?? "o", {
          version: change.version ?? 1,
          state: { n: value("initial" in change ? change.initial : 0) },
          onRecord: (airport) => ({ airport }),
        })
        .to("airports", airports);
    }).fingerprint;
  const changes = [
    {},
    { name: "q" },
    { operator: "r" },
    { version: 2 },
    { initial: null },
    { initial: undefined },
    { initial: 1 },
    { step: true },
  ];
  expect(new Set(changes.map(build)).size).toBe(changes.length);
  expect(flights({ checkpoint: { interval: "1m" } }).fingerprint).toBe(flights().fingerprint);
});

it("graph, settings and pipeline are frozen to the depth", () => {
  const made = flights({ restart: { attempts: 3 } });
  const frozen = (value: unknown): boolean =>
    typeof value !== "object" || value === null || (Object.isFrozen(value) && Object.values(value).every(frozen));
  expect(frozen(made.plan.graph)).toBe(true);
  expect(frozen(made.plan.settings)).toBe(true);
  expect(Object.isFrozen(made) && Object.isFrozen(made.plan)).toBe(true);
});

it("initial values are frozen copies: no change in place reaches another key, and none of their owner's reaches the plan", () => {
  const initial = { counts: [1, 2], nested: { n: 1 } };
  const { plan } = pipeline("p", {}, (flow) =>
    flow
      .from("lines", kinesisSource({ stream: "lines", codec: text }))
      .keyBy((line) => line)
      .process("o", { state: { s: value(initial) }, onRecord: (airport) => ({ airport }) })
      .to("airports", airports),
  );
  initial.nested.n = 2;
  const node = plan.graph.nodes.find((candidate) => candidate.kind === "process");
  const kept = node?.state.s?.initial as unknown as typeof initial;
  expect(kept).toEqual({ counts: [1, 2], nested: { n: 1 } });
  expect(() => kept.counts.push(3)).toThrow(TypeError);
  expect(() => Object.assign(kept.nested, { n: 3 })).toThrow(TypeError);
  expect(Object.isFrozen(initial)).toBe(false);
});

it("a stream may have several consumers; sources, operators and sinks have names apart from each other", () => {
  const { plan } = pipeline("p", {}, (flow) => {
    const lines = flow.from("lines", kinesisSource({ stream: "lines", codec: text }));
    const keyed = lines.keyBy((line) => line);
    const longest = keyed.reduce("lines", (a, b) => (a.length > b.length ? a : b));
    return [
      lines.map((airport) => ({ airport })).to("lines", airports),
      longest.flatMap((airport) => [{ airport }]).to("longest", airports),
      keyed.process("other", { state: {}, onRecord: (airport) => ({ airport }) }).to("other", airports),
    ];
  });
  const inputs = plan.graph.nodes.map((node) => `${node.kind}<${inputsOf(node).join()}`);
  expect(inputs).toEqual([
    "source<",
    "keyBy<0",
    "reduce<1",
    "map<0",
    "sink<3",
    "flatMap<2",
    "sink<5",
    "process<1",
    "sink<7",
  ]);
});

it("a build callback may return nothing", () => {
  const made = pipeline("p", {}, (flow) => {
    punctuality(flow);
  });
  expect(made.plan.sinks.size).toBe(1);
});

it("onRecord keeps its `this`", () => {
  const { plan } = pipeline("p", {}, (flow) =>
    flow
      .from("lines", kinesisSource({ stream: "lines", codec: text }))
      .keyBy((line) => line)
      .process("o", {
        version: 7,
        state: {},
        onRecord(airport) {
          return { airport, version: this.version };
        },
      })
      .to("airports", airports),
  );
  expect(plan.functions.get(2)?.("JFK", {})).toEqual({ airport: "JFK", version: 7 });
});

it("a pipeline is known by its brand, also one of another copy of the library", () => {
  expect(isPipeline(flights())).toBe(true);
  expect(isPipeline({ [Symbol.for("tidemark.pipeline")]: true })).toBe(true);
  for (const other of [null, undefined, 1, {}, { ...flights().plan }, () => {}]) expect(isPipeline(other)).toBe(false);
});
