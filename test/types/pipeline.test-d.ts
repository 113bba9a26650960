// Compiled, never run: each @ts-expect-error is a mistake that the compiler must tell.

import {
  type Codec,
  type DeadLetter,
  type Deletion,
  deleted,
  dynamoTable,
  fileSink,
  json,
  type Key,
  type KeyedStream,
  kinesisSource,
  list,
  map,
  type Pipeline,
  pipeline,
  type Sink,
  type Stream,
  text,
  value,
} from "tidemark";
import { z } from "zod";
import type { Json } from "../../lib/model/canonical-json.js";

type Equal<A, B> = (<G>() => G extends A ? 1 : 2) extends <G>() => G extends B ? 1 : 2 ? true : false;
const same = <A, B>(equal: Equal<A, B>): boolean => equal;

declare function table<const K extends string>(options: {
  readonly table: string;
  readonly key: readonly [K] | readonly [K, K];
}): Sink<{ readonly [P in K]: string }>;
declare function sinkOf<T>(): Sink<T>;

const Flight = z.object({ origin: z.string(), delay: z.number().nullable(), carrier: z.string().default("none") });
interface Flown {
  origin: string;
  delay: number | null;
  carrier: string;
}

// From codec to sink without an annotation.
const flights = pipeline("flight-delays", { checkpoint: { interval: "10s" } }, (flow) =>
  flow
    .from("flights", kinesisSource({ stream: "flights", codec: json(Flight) }))
    .keyBy((flight) => flight.origin)
    .process("punctuality", {
      state: {
        flights: value(0),
        late: value(0),
        last: value<string>(),
        seen: list<string>(),
        per: map<string, number>(),
      },
      onRecord(flight, { key, state, position }) {
        same<typeof flight, Flown>(true);
        same<typeof key, string>(true);
        if (flight.delay === null) return;
        state.flights.update((n) => n + 1);
        state.last.set(position.sequenceNumber);
        same<ReturnType<typeof state.last.get>, string | undefined>(true);
        same<ReturnType<typeof state.seen.get>, readonly string[]>(true);
        same<ReturnType<typeof state.per.get>, number | undefined>(true);
        // @ts-expect-error the state holds a number
        state.late.set("1");
        // @ts-expect-error no such state
        state.lat.set(1);
        // @ts-expect-error no such field
        flight.dealy;
        return { airport: key, flights: state.flights.get(), late: state.late.get() };
      },
    })
    .to("airports", table({ table: "airports", key: ["airport"] })),
);
same<typeof flights, Pipeline<{ flights: Flown }, { airports: { airport: string; flights: number; late: number } }>>(
  true,
);

// Every pipeline can be given to what takes any.
export const any: Pipeline<unknown, unknown> = flights;

// A sink's key that the rows do not have, or have with another type.
pipeline("wrong-key", {}, (flow) => {
  const rows = flow
    .from("in", kinesisSource({ stream: "in", codec: json(Flight) }))
    .map((flight) => ({ airport: flight.origin, delay: flight.delay }));
  // @ts-expect-error the rows have no "arport"
  rows.to("a", table({ table: "a", key: ["arport"] }));
  // @ts-expect-error the rows' "delay" is no string
  rows.to("b", table({ table: "b", key: ["delay"] }));
  return rows.to("c", table({ table: "c", key: ["airport"] }));
});

// A type guard narrows; a plain predicate keeps the type; TypeScript's own inference of guards is enough.
pipeline("filter", {}, (flow) => {
  const all = flow.from("in", kinesisSource({ stream: "in", codec: json(Flight) }));
  const inferred = all.map((flight) => flight.delay).filter((delay) => delay !== null);
  same<typeof inferred, Stream<number, { in: Flown }>>(true);
  const narrowed = all.filter((flight): flight is Flown & { delay: number } => flight.delay !== null);
  same<typeof narrowed, Stream<Flown & { delay: number }, { in: Flown }>>(true);
  const kept = all.filter((flight) => flight.origin.startsWith("J"));
  same<typeof kept, Stream<Flown, { in: Flown }>>(true);
  // @ts-expect-error a filter answers with a boolean
  all.filter((flight) => flight.origin);
});

// Keys: every kind, tuples kept; no objects, dates or null.
pipeline("keys", {}, (flow) => {
  const all = flow.from("in", kinesisSource({ stream: "in", codec: json(Flight) }));
  const pairs = all.keyBy((flight) => [flight.origin, 1]);
  same<typeof pairs, KeyedStream<readonly [string, 1], Flown, { in: Flown }>>(true);
  all.keyBy((flight) => BigInt(flight.origin.length));
  all.keyBy((flight) => [flight.origin, [flight.delay === null, 2n]]) satisfies KeyedStream<Key, Flown, unknown>;
  // @ts-expect-error an object is no key
  all.keyBy((flight) => ({ origin: flight.origin }));
  // @ts-expect-error null is no key
  all.keyBy((flight) => flight.delay);
});

// Rows: nothing, one, several, or yielded. The sink sees the row, not the list.
pipeline("rows", {}, (flow) => {
  const keyed = flow.from("in", kinesisSource({ stream: "in", codec: text })).keyBy((line) => line);
  const one = keyed.process("one", { state: {}, onRecord: (line) => ({ line }) });
  same<typeof one, Stream<{ line: string }, { in: string }>>(true);
  const many = keyed.process("many", { state: {}, onRecord: (line) => [{ line }, { line }] });
  same<typeof many, Stream<{ line: string }, { in: string }>>(true);
  const perhaps = keyed.process("perhaps", {
    state: {},
    onRecord(line) {
      if (line === "") return [];
      if (line === "x") return;
      return { line };
    },
  });
  perhaps.to("perhaps", sinkOf<{ line: string }>());
  const yielded = keyed.process("yielded", {
    state: { n: value(0) },
    *onRecord(line, { state }) {
      yield { line, n: state.n.get() };
      yield { line, n: 1 };
    },
  });
  same<typeof yielded, Stream<{ line: string; n: number }, { in: string }>>(true);
  const waiting = keyed.process("async", { state: {}, onRecord: async (line) => ({ line }) });
  // @ts-expect-error a promise of a row is no row
  waiting.to("async", sinkOf<{ line: string }>());
  // @ts-expect-error the same with a key
  waiting.to("async", table({ table: "t", key: ["line"] }));
  keyed.reduce("longest", (a, b) => (a.length > b.length ? a : b)).to("longest", sinkOf<string>());
  // @ts-expect-error the merge of two texts is a text
  keyed.reduce("count", (a, b) => a.length + b.length);
  // @ts-expect-error a misspelt member
  keyed.process("typo", { state: {}, onrecord: (line: string) => line, onRecord: (line) => line });
});

// Two sources and two sinks, typed by name.
const two = pipeline("two", {}, (flow) => {
  const orders = flow.from("orders", kinesisSource({ stream: "orders", codec: json(z.object({ id: z.string() })) }));
  const lines = flow.from("lines", kinesisSource({ stream: "lines", codec: text }));
  return [
    orders.map((order) => ({ id: order.id, n: 1 })).to("totals", table({ table: "totals", key: ["id"] })),
    lines.map((line) => ({ line })).to("texts", table({ table: "texts", key: ["line"] })),
  ];
});
type InsOf<P> = P extends Pipeline<infer I, unknown> ? I : never;
type OutsOf<P> = P extends Pipeline<unknown, infer O> ? O : never;
same<InsOf<typeof two>, { orders: { id: string } } & { lines: string }>(true);
same<OutsOf<typeof two>, { totals: { id: string; n: number } } & { texts: { line: string } }>(true);
export const order: InsOf<typeof two>["orders"] = { id: "a" };
// @ts-expect-error no such sink
export type None = OutsOf<typeof two>["total"];

// A callback that returns nothing gives a pipeline whose names are not known.
const untyped = pipeline("untyped", {}, (flow) => {
  flow.from("in", kinesisSource({ stream: "in", codec: text })).to("out", sinkOf<string>());
});
same<typeof untyped, Pipeline<Record<string, unknown>, Record<string, unknown>>>(true);

// Codecs: without a schema the type is the user's word, or unknown; with one it is the schema's output.
json() satisfies Codec<unknown>;
json<Flown>() satisfies Codec<Flown>;
const codec = json(Flight);
same<ReturnType<typeof codec.decode>, Flown>(true);
const shifted = json(z.string().transform((written) => written.length));
same<ReturnType<typeof shifted.decode>, number>(true);

// Options: misspelt, of the wrong type, or no duration.
const build = (flow: Parameters<Parameters<typeof pipeline>[2]>[0]) =>
  flow.from("in", kinesisSource({ stream: "in", codec: text })).to("out", sinkOf<string>());
// @ts-expect-error a misspelt option
pipeline("options", { checkpont: { interval: "10s" } }, build);
// @ts-expect-error a number is no duration
pipeline("options", { checkpoint: { interval: 10 } }, build);
// @ts-expect-error no unit
pipeline("options", { checkpoint: { interval: "10" } }, build);
// @ts-expect-error no such mode
pipeline("options", { checkpoint: { mode: "exactly" } }, build);
// @ts-expect-error options are required, {} for the defaults
pipeline("options", build);
// @ts-expect-error a stream is no output
pipeline("no-output", {}, (flow) => flow.from("in", kinesisSource({ stream: "in", codec: text })));
// @ts-expect-error a build callback is not async
pipeline("async", {}, async (flow) => build(flow));
// @ts-expect-error a start is a word or { at: Date }
kinesisSource({ stream: "in", codec: text, start: "earliest" });
// @ts-expect-error a stream is no source
pipeline("no-source", {}, (flow) => flow.from("in", { stream: "in" }).to("out", sinkOf<unknown>()));

// A sink of something wider takes narrower rows, a sink of something narrower does not take wider ones.
declare const rows: Stream<{ id: string }, unknown>;
rows.to("wide", sinkOf<Json>());
rows.to("wider", sinkOf<unknown>());
// @ts-expect-error the sink wants more than the rows have
rows.to("narrow", sinkOf<{ id: string; n: number }>());

// Deletions: of the table's key, and of no other; in one stream with rows.
declare const airports: KeyedStream<string, Flown, unknown>;
const closing = airports.process("closing", {
  state: {},
  onRecord: (flight, { key }) =>
    flight.delay === null ? deleted({ airport: key }) : { airport: key, delay: flight.delay },
});
same<typeof closing, Stream<Deletion<{ readonly airport: string }> | { airport: string; delay: number }, unknown>>(
  true,
);
closing.to("airports", dynamoTable({ table: "airports", key: ["airport"] }));
closing.to("eager", dynamoTable({ table: "airports", key: ["airport"], delivery: "eager", stableKeys: true }));
// @ts-expect-error the deletion has another key
closing.to("cities", dynamoTable({ table: "cities", key: ["city"] }));
declare const gone: Stream<Deletion<{ readonly city: string }>, unknown>;
gone.to("cities", dynamoTable({ table: "cities", key: ["city"] }));
// @ts-expect-error the table's key has two attributes, the deletion one
gone.to("cities", dynamoTable({ table: "cities", key: ["city", "year"] }));
// @ts-expect-error the table's key is a number, the deletion's a text
gone.to("cities", dynamoTable({ table: "cities", key: { city: "number" } }));
// @ts-expect-error a deletion's key is an object
deleted("ATL");

// Eager delivery: only with the user's word that keys are stable.
// @ts-expect-error stableKeys is missing
dynamoTable({ table: "t", key: ["id"], delivery: "eager" });
// @ts-expect-error stableKeys: false is no word
dynamoTable({ table: "t", key: ["id"], delivery: "eager", stableKeys: false });

// Calls: the stream's type is what the call answers with.
declare const incoming: Stream<string, { in: string }>;
const asked = incoming.mapAsync("ask", { concurrency: 2, timeout: "5s" }, async (line, signal) => {
  same<typeof line, string>(true);
  same<typeof signal, AbortSignal>(true);
  return line.length;
});
same<typeof asked, Stream<number, { in: string }>>(true);
// @ts-expect-error a call answers later: it gives a promise
incoming.mapAsync("ask", { concurrency: 2, timeout: "5s" }, (line) => line.length);
// @ts-expect-error no bound, no call
incoming.mapAsync("ask", { timeout: "5s" }, async (line) => line);
// @ts-expect-error no time-out, no call
incoming.mapAsync("ask", { concurrency: 2 }, async (line) => line);

// Dead letters go to any sink that takes them.
pipeline("tables", { onBadRecord: "quarantine", deadLetters: dynamoTable({ table: "dead", key: ["id"] }) }, build);
pipeline("files", { onBadRecord: "quarantine", deadLetters: fileSink({ folder: "dead" }) }, build);
// @ts-expect-error a dead letter has no such key
pipeline("no-key", { onBadRecord: "quarantine", deadLetters: dynamoTable({ table: "dead", key: ["airport"] }) }, build);
// @ts-expect-error its subSequenceNumber may be null
sinkOf<{ subSequenceNumber: number }>() satisfies Sink<DeadLetter>;

// Unions: of the types and of the sources; what is no stream is refused.
declare const web: Stream<{ user: string; page: string }, { web: { user: string; page: string } }>;
declare const mobile: Stream<{ user: string; screen: number }, { mobile: { user: string; screen: number } }>;
const both = web.union(mobile);
same<
  typeof both,
  Stream<
    { user: string; page: string } | { user: string; screen: number },
    { web: { user: string; page: string } } & { mobile: { user: string; screen: number } }
  >
>(true);
const three = both.union(
  incoming,
  web.map((click) => click.page.length),
);
three.map((one) => {
  same<typeof one, { user: string; page: string } | { user: string; screen: number } | string | number>(true);
  return 1;
});
const twice = incoming.union(incoming);
same<typeof twice, Stream<string, { in: string }>>(true);
both.keyBy((click) => click.user).reduce("last", (_a, b) => b, { parallelism: 4 });
// @ts-expect-error not all of them have a page
both.map((click) => click.page);
// @ts-expect-error a keyed stream is no stream
web.union(airports);
// @ts-expect-error text is no stream
web.union("mobile");
// @ts-expect-error a misspelt option
airports.reduce("last", (_a, b) => b, { paralelism: 4 });
const unitedPipeline = pipeline("union", {}, (flow) =>
  flow
    .from("a", kinesisSource({ stream: "a", codec: text }))
    .union(flow.from("b", kinesisSource({ stream: "b", codec: json(Flight) })))
    .to("out", sinkOf<string | Flown>()),
);
same<typeof unitedPipeline, Pipeline<{ a: string } & { b: Flown }, { out: string | Flown }>>(true);

// Connect: two streams by keys of one type, rows of both functions; one that returns nothing adds none.
const connected = web
  .keyBy((click) => click.user)
  .connect(mobile.keyBy((click) => click.user))
  .process("join", {
    version: 2,
    parallelism: 2,
    state: { page: value<string>(), screens: list<number>() },
    onLeft(click, { key, state, position }) {
      same<typeof click, { user: string; page: string }>(true);
      same<typeof key, string>(true);
      same<typeof position.shard, string>(true);
      state.page.set(click.page);
      if (click.page === "") return;
      return { left: click.page };
    },
    *onRight(click, { key, state }) {
      same<typeof click, { user: string; screen: number }>(true);
      // @ts-expect-error the state holds texts
      state.page.set(1);
      // @ts-expect-error no such state
      state.pages.get();
      for (const screen of state.screens.get()) yield { right: screen, key };
    },
  });
same<
  typeof connected,
  Stream<
    { left: string } | { right: number; key: string },
    { web: { user: string; page: string } } & { mobile: { user: string; screen: number } }
  >
>(true);
const onlyLeft = web
  .keyBy((click) => click.user)
  .connect(mobile.keyBy((click) => click.user))
  .process("rules", {
    state: { screen: value(0) },
    onLeft: (click, { state }) => [{ page: click.page, screen: state.screen.get() }],
    onRight(click, { state }) {
      state.screen.set(click.screen);
    },
  });
onlyLeft.to("rows", sinkOf<{ page: string; screen: number }>());
onlyLeft.map((row) => {
  same<typeof row, { page: string; screen: number }>(true);
  return 1;
});
// @ts-expect-error keys of two types
web.keyBy((click) => click.user).connect(mobile.keyBy((click) => click.screen));
// @ts-expect-error a stream without key
web.keyBy((click) => click.user).connect(mobile);
const late = web
  .keyBy((click) => click.user)
  .connect(mobile.keyBy((click) => click.user))
  .process("late", { state: {}, onLeft: async (click) => click, onRight: () => {} });
// @ts-expect-error a promise of a row is no row
late.to("late", sinkOf<{ page: string }>());
web
  .keyBy((click) => click.user)
  .connect(mobile.keyBy((click) => click.user))
  // @ts-expect-error onRight is missing
  .process("half", { state: {}, onLeft: (click) => click });
