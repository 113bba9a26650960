import type { Duration } from "../model/duration.js";
import type { Key } from "../model/keys.js";
import type { Migration, ValueMigration } from "./migrations.js";
import type { Sink } from "./sink.js";
import type { Source } from "./source.js";
import type { StateSpec } from "./state-spec.js";

/** What a build callback returns: a sink that a stream ends in. `Ins` and `Outs` are records by name, of what goes in and comes out. */
export interface Output<Ins, Outs> {
  readonly "~ins"?: Ins;
  readonly "~outs"?: Outs;
}

/** Where a record stood in its source. */
export interface Position {
  /** The source's name in the pipeline. */
  readonly source: string;
  readonly shard: string;
  readonly sequenceNumber: string;
  /** Of a user record of an aggregate (KPL): 0, 1, 2…; else null. */
  readonly subSequenceNumber: number | null;
}

export type StateSpecs = Readonly<Record<string, StateSpec<unknown>>>;
export type Accessors<S extends StateSpecs> = {
  readonly [N in keyof S]: S[N] extends StateSpec<infer A> ? A : never;
};

/** What an operator sees besides the record. Good only while that record is processed. */
export interface Context<K, S extends StateSpecs> {
  readonly key: K;
  /** Of this key alone. */
  readonly state: Accessors<S>;
  readonly position: Position;
}

/** What onRecord may return: nothing, one row, or several. A row is therefore no array. */
export type Emitted<O> = O | readonly O[] | Generator<O, void, void> | undefined | void;

/** See {@link Stream.mapAsync}. */
export interface AsyncOptions {
  /** Calls under way at a time, at most. */
  readonly concurrency: number;
  /** Results go on in the order of the records: true where it is not given. */
  readonly ordered?: boolean;
  /** "5s". Less than `checkpoint.timeout`, and better far less: a checkpoint waits for the calls under way. */
  readonly timeout: Duration;
}

/** An operator with state; see {@link KeyedStream.process}. */
export interface Operator<K extends Key, T, S extends StateSpecs, O> {
  /** Of the state's meaning: 1 where it is not given. Raised when old state must not be read as the new one. */
  readonly version?: number;
  /**
   * How state that older versions kept becomes that of this one, when it is restored: by the version that a step begins from, to the
   * next. It gets an object by state name (a list is an array, a map a Map) and the key, and gives one; null: the key has no state.
   *
   * @example { version: 2, migrate: { 1: (old: { cents: number }) => ({ euros: old.cents / 100 }) } }
   */
  readonly migrate?: Readonly<Record<number, Migration>>;
  /** Tasks, each with a part of the keys: 1 to 64; that of the pipeline where it is not given. May be changed at any deployment. */
  readonly parallelism?: number;
  /** By name: `value`, `list` or `map`. */
  readonly state: S;
  /** Deterministic and synchronous: after a failure it is called again with the same records. */
  onRecord(record: T, context: Context<K, S>): Emitted<O>;
}

/** See {@link KeyedStream.reduce}. */
export interface ReduceOptions {
  /** As that of {@link Operator}. */
  readonly version?: number;
  /** As that of {@link Operator}, of the merged value itself: `{ 1: (old: Total) => ({ ...old, count: 0 }) }`. */
  readonly migrate?: Readonly<Record<number, ValueMigration>>;
  /** As that of {@link Operator}. */
  readonly parallelism?: number;
}

/** The rows among what a function of an operator returns: {@link Emitted}, backwards. */
// biome-ignore lint/suspicious/noConfusingVoidType: it is the return type of a function, which may return nothing
export type RowOf<E> = E extends undefined | void
  ? never
  : E extends readonly (infer O)[]
    ? O
    : E extends Generator<infer O, unknown, unknown>
      ? O
      : E;

/** An operator with state that two streams feed; see {@link KeyedStream.connect}. */
export interface ConnectedOperator<K extends Key, L, R, S extends StateSpecs, A, B> {
  /** As that of {@link Operator}. */
  readonly version?: number;
  /** As that of {@link Operator}. */
  readonly migrate?: Readonly<Record<number, Migration>>;
  /** As that of {@link Operator}. */
  readonly parallelism?: number;
  /** By name. Both functions see the same state of a key. */
  readonly state: S;
  /** A record of the stream that {@link KeyedStream.connect} was called on. Returns what `onRecord` of `process` may return. */
  onLeft(record: L, context: Context<K, S>): A;
  /** A record of the stream that was given to {@link KeyedStream.connect}. */
  onRight(record: R, context: Context<K, S>): B;
}

type Intersection<U> = (U extends unknown ? (one: U) => void : never) extends (all: infer I) => void ? I : never;
type RecordOf<S> = S extends Stream<infer T, unknown> ? T : never;
type InsOfStream<S> = S extends Stream<unknown, infer I> ? I : never;

/**
 * Records of type T. `Ins` remembers which sources feed it. A stream may have several consumers: each gets every record.
 *
 * Functions given to a stream are synchronous and have no effects: after a failure they see the same records again.
 */
export interface Stream<T, Ins> {
  /** @example .map((flight) => ({ ...flight, late: flight.delay > 15 })) */
  map<O>(change: (value: T) => O): Stream<O, Ins>;
  /** Keeps the records for which `keep` is true; a type guard narrows the stream's type. @example .filter((flight) => flight.delay !== null) */
  filter<O extends T>(keep: (value: T) => value is O): Stream<O, Ins>;
  filter(keep: (value: T) => boolean): Stream<T, Ins>;
  /** Any number of records for one. @example .flatMap((order) => order.lines) */
  flatMap<O>(change: (value: T) => readonly O[]): Stream<O, Ins>;
  /**
   * A call for each record, such as of a service: at most `concurrency` at a time. A checkpoint waits for those under way (B2),
   * and after a failure they are made again: the call must bear that. One that rejects fails as an operator that throws; one
   * that takes longer than `timeout` is aborted, and the pipeline restarts from its last checkpoint.
   *
   * @param name unique among the pipeline's operators, for messages
   * @param call gets the record, and a signal that is aborted at the time-out and when the session ends
   * @throws StreamError `invalid` where the name is taken or an option is out of range
   * @example .mapAsync("geocode", { concurrency: 20, timeout: "5s" }, (order, signal) => fetch(url(order), { signal }).then((r) => r.json()))
   */
  mapAsync<O>(name: string, options: AsyncOptions, call: (value: T, signal: AbortSignal) => Promise<O>): Stream<O, Ins>;
  /** Groups by a string, number, bigint, boolean or an array of them. @example .keyBy((flight) => [flight.origin, flight.carrier]) */
  keyBy<const K extends Key>(key: (value: T) => K): KeyedStream<K, T, Ins>;
  /**
   * The records of this stream and of the others, as they come: those of one stream keep their order, between streams there is none.
   *
   * @throws StreamError `invalid` where one is no stream, or one of another pipeline
   * @example flow.from("web", web).union(flow.from("mobile", mobile)).keyBy((click) => click.user)
   */
  union<const S extends readonly Stream<unknown, unknown>[]>(
    ...others: S
  ): Stream<T | RecordOf<S[number]>, Intersection<Ins | InsOfStream<S[number]>>>;
  /**
   * Ends in a sink. The name is the address of what is prepared but not yet visible: unique among the pipeline's sinks, and stable.
   *
   * @throws StreamError `invalid` where the name is taken or the value is no sink
   * @example .to("airports", dynamoTable({ table: "airports", key: ["airport"] }))
   */
  to<const N extends string>(name: N, sink: Sink<T>): Output<Ins, { [P in N]: T }>;
}

/** Records of type T by keys of type K: records of one key are processed in order, one after the other. */
export interface KeyedStream<K extends Key, T, Ins> {
  /**
   * An operator with state by key. The name is the state's address: unique among the pipeline's operators, and stable.
   *
   * @throws StreamError `invalid` where the name is taken, a state is no declaration, or an initial value is no plain data
   * @example
   * .process("count", {
   *   state: { count: value(0) },
   *   onRecord(flight, { key, state }) {
   *     state.count.update((n) => n + 1);
   *     return { airport: key, count: state.count.get() };     // a row; or nothing, an array of rows, or rows that are yielded
   *   },
   * })
   */
  process<const S extends StateSpecs, O>(name: string, operator: Operator<K, T, S, O>): Stream<O, Ins>;
  /**
   * The merge of all records of a key so far, after each record. The first record of a key is its own merge.
   *
   * @example .keyBy((sale) => sale.shop).reduce("total", (a, b) => ({ shop: a.shop, sum: a.sum + b.sum }))
   */
  reduce(name: string, merge: (left: T, right: T) => T, options?: ReduceOptions): Stream<T, Ins>;
  /**
   * This stream and another one by keys of the same type, for an operator that keeps state of both: a join, or rules that are
   * themselves a stream. Records of one key and one stream are processed in order; between the streams there is no order.
   *
   * @throws StreamError `invalid` where it is no keyed stream, or one of another pipeline
   * @example
   * .keyBy((order) => order.user)
   * .connect(flow.from("users", users).keyBy((user) => user.id))
   * .process("with-name", {
   *   state: { name: value<string>(), waiting: list<Order>() },
   *   onLeft(order, { state }) {
   *     const name = state.name.get();
   *     if (name !== undefined) return { order: order.id, name };
   *     state.waiting.add(order);
   *   },
   *   onRight(user, { state }) {
   *     state.name.set(user.name);
   *     const rows = state.waiting.get().map((order) => ({ order: order.id, name: user.name }));
   *     state.waiting.clear();
   *     return rows;
   *   },
   * })
   */
  connect<U, Others>(other: KeyedStream<K, U, Others>): ConnectedStreams<K, T, U, Ins & Others>;
}

/** Two streams by keys of type K; see {@link KeyedStream.connect}. */
export interface ConnectedStreams<K extends Key, L, R, Ins> {
  /**
   * An operator with state by key, as that of {@link KeyedStream.process}, with a function for each of the streams.
   *
   * @throws StreamError `invalid` where the name is taken, a state is no declaration, or an initial value is no plain data
   */
  process<const S extends StateSpecs, A, B>(
    name: string,
    operator: ConnectedOperator<K, L, R, S, A, B>,
  ): Stream<RowOf<A> | RowOf<B>, Ins>;
}

/** Where streams begin; good only inside the build callback. */
export interface Flow {
  /**
   * Records of a source. The name is the address of its positions in checkpoints: unique among the pipeline's sources, and stable.
   *
   * @throws StreamError `invalid` where the name is taken or the value is no source
   * @example flow.from("flights", kinesisSource({ stream: "flights", codec: json(Flight) }))
   */
  from<const N extends string, T>(name: N, source: Source<T>): Stream<T, { [P in N]: T }>;
}
