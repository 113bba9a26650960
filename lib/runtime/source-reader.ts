import { setMaxListeners } from "node:events";
import { repeat } from "../checkpoint/repeat.js";
import { StreamError } from "../model/errors.js";
import { type Generation, type Millis, millis } from "../model/ids.js";
import type { Position, ShardEntry, SourceTable } from "../model/shards.js";
import type { Source } from "../pipeline/source.js";
import type { Clock } from "../ports/clock.js";
import type { Log, LogRecord, LogShard } from "../ports/log.js";
import { type Batch, readShard, type ShardCursor } from "./shard-reads.js";
import type { RecordPosition } from "./task.js";

/** What the next pump does with a shard: at most one read or one batch of each, so that memory is bounded and all shards get turns. */
type ShardState =
  | { readonly kind: "idle" }
  | { readonly kind: "reading" }
  | { readonly kind: "holding"; readonly batch: Batch };

interface Shard extends ShardCursor {
  entry: ShardEntry;
  state: ShardState;
  /** The last read was empty and nothing was behind it. */
  caughtUp: boolean;
  behindMillis: number;
  /** Bounded input: a record at or past the end was seen. */
  ended: boolean;
}

export interface ReaderOptions {
  readonly name: string;
  readonly stream: string;
  readonly source: Source<unknown>;
  readonly retentionMillis: number;
  readonly generation: Generation;
  /** The index of this task among the source's readers: `finished` entries name it (K3). */
  readonly producer: number;
}

/** Between two looks at the list of shards, which the service answers ten times a second at most. */
const listGapMillis = 1_000;

/** Reads the shards of one source that a task owns, fair between them, and knows the position of each (K2, K3, P1). */
export class SourceReader {
  readonly options: ReaderOptions;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #shards = new Map<string, Shard>();
  /** A record was taken, or a shard ended, since the last cut. */
  changed = false;
  /** Bounded input: finished shards whose children all begin past its end, so that those need not enter. */
  #endless: ReadonlySet<string> = new Set();
  #listing = false;

  constructor(log: Log, clock: Clock, options: ReaderOptions, table: SourceTable) {
    this.#log = log;
    this.#clock = clock;
    this.options = options;
    this.enter(table);
  }

  /** K3: children that the completed manifest has let in begin; finished shards that it has dropped go. */
  enter(table: SourceTable): void {
    const listed = new Set(table.shards.map((entry) => entry.shardId));
    for (const entry of table.shards) {
      if (!this.#shards.has(entry.shardId)) this.#shards.set(entry.shardId, newShard(entry));
    }
    for (const [shardId, shard] of this.#shards) {
      if (shard.entry.at.kind === "finished" && !listed.has(shardId)) this.#shards.delete(shardId);
    }
  }

  /** Starts a read on every shard that has none; each resolves to the shard's name when its batch is there. */
  pump(signal: AbortSignal): readonly Promise<string>[] {
    // Every shard that waits listens to it: more than ten are no leak, and no warning in the log.
    setMaxListeners(0, signal);
    const reads = [...this.#shards.values()].filter(wantsRead).map((shard) => this.#read(shard, signal));
    const childless = this.#listing ? undefined : this.#childlessAtEnd();
    return childless === undefined ? reads : [...reads, this.#lookForChildren(childless, signal)];
  }

  /** A finished shard whose children are not in, although all else is read to the end of the input. */
  #childlessAtEnd(): string | undefined {
    if (this.options.source.config.end === null || this.finished) return undefined;
    const all = [...this.#shards.values()];
    if (!all.every((shard) => shard.ended || shard.entry.at.kind === "finished")) return undefined;
    return all.find((shard) => shard.entry.at.kind === "finished" && !this.#hasChildren(shard))?.entry.shardId;
  }

  /**
   * K3 lets a child of a merge in when both parents are finished. One that has records past the end of the input never is: then
   * the child begins past it too, and is not waited for. Says nothing where the children are not listed yet.
   */
  async #lookForChildren(childless: string, signal: AbortSignal): Promise<string> {
    this.#listing = true;
    const listed = await repeat(this.#clock, () => this.#log.shards(this.options.stream));
    const ended = [...this.#shards.values()].filter((shard) => shard.ended).map((shard) => shard.entry.shardId);
    const past = beginPast(listed, ended);
    const isPast = (parent: string) => {
      const children = listed.filter((shard) => shard.parents.includes(parent));
      return children.length > 0 && children.every((child) => past.has(child.shardId));
    };
    this.#endless = new Set([...this.#shards.keys()].filter(isPast));
    await this.#clock.sleep(listGapMillis, signal);
    this.#listing = false;
    return childless;
  }

  async #read(shard: Shard, signal: AbortSignal): Promise<string> {
    shard.state = { kind: "reading" };
    const batch = await readShard(this.#log, this.#clock, this.options, shard, openPosition(shard.entry), signal);
    shard.state = { kind: "holding", batch };
    return shard.entry.shardId;
  }

  /** Shards with a batch that waits: after a pause of the session there may be several. */
  holding(): readonly string[] {
    return [...this.#shards.values()]
      .filter((shard) => shard.state.kind === "holding")
      .map((shard) => shard.entry.shardId);
  }

  /**
   * Gives the records of the shard's batch to `take`, and moves the position behind them.
   *
   * @throws StreamError `invalid`: a record does not decode; names shard, sequence number and cause
   */
  consume(shardId: string, take: (value: unknown, position: RecordPosition) => void): void {
    const shard = this.#shards.get(shardId);
    if (shard === undefined || shard.state.kind !== "holding") return;
    const { batch } = shard.state;
    shard.state = { kind: "idle" };
    const { name, source } = this.options;
    let last: LogRecord | null = null;
    for (const record of batch.records) {
      if (source.config.end !== null && record.arrivedAt >= source.config.end) {
        shard.ended = true;
        break;
      }
      const position = { source: name, shard: shardId, sequenceNumber: record.sequenceNumber };
      take(decode(source, record.data, position), position);
      last = record;
    }
    this.#advance(shard, batch, last);
  }

  #advance(shard: Shard, batch: Batch, last: LogRecord | null): void {
    const position = openPosition(shard.entry);
    const readTo = shard.ended ? arrivalOf(last, position) : readToAfter(position, batch);
    const { end } = this.options.source.config;
    shard.caughtUp = batch.records.length === 0 && batch.behindMillis === 0;
    shard.behindMillis = batch.behindMillis;
    // The end of a closed shard says nothing of its children, which may hold records before the end of the input.
    if (shard.caughtUp && end !== null && batch.serverNow >= end && batch.next !== null) shard.ended = true;
    if (last !== null) this.changed = true;
    if (batch.next === null && !shard.ended) {
      this.changed = true;
      const { generation, producer } = this.options;
      const finished = {
        kind: "finished",
        generation,
        producer,
        sent: {},
        readTo: endReadTo(position, batch),
      } as const;
      shard.entry = { ...shard.entry, at: finished };
    } else {
      shard.entry = { ...shard.entry, at: { kind: "open", position: moved(position, last, readTo) } };
    }
  }

  /** For the ack: where every shard of this task stands. */
  positions(): readonly { readonly shardId: string; readonly at: ShardEntry["at"] }[] {
    return [...this.#shards.values()]
      .map(({ entry }) => ({ shardId: entry.shardId, at: entry.at }))
      .sort((a, b) => (a.shardId < b.shardId ? -1 : 1));
  }

  /** All open shards are read to the tip, and none has ended whose children are not in. */
  get idle(): boolean {
    return this.#all((shard) =>
      shard.entry.at.kind === "open" ? shard.caughtUp || shard.ended : this.#hasChildren(shard),
    );
  }

  /** Bounded input is read to its end. */
  get finished(): boolean {
    if (this.options.source.config.end === null) return false;
    return this.#all((shard) =>
      shard.entry.at.kind === "open" ? shard.ended : this.#hasChildren(shard) || this.#endless.has(shard.entry.shardId),
    );
  }

  get behindMillis(): number {
    return Math.max(
      0,
      ...[...this.#shards.values()].map((shard) => (shard.entry.at.kind === "open" ? shard.behindMillis : 0)),
    );
  }

  /** B1: a position whose readTo is older than a tenth of the retention is a change. */
  stale(now: Millis): boolean {
    const limit = now - this.options.retentionMillis / 10;
    return [...this.#shards.values()].some((shard) => {
      const position = shard.entry.at.kind === "open" ? shard.entry.at.position : null;
      return position !== null && position.readTo !== null && position.readTo < limit;
    });
  }

  #hasChildren(parent: Shard): boolean {
    return [...this.#shards.values()].some((shard) => shard.entry.parents.includes(parent.entry.shardId));
  }

  #all(holds: (shard: Shard) => boolean): boolean {
    return [...this.#shards.values()].every(holds);
  }
}

/** Shards that come from one of these, by any number of splits and merges. */
function beginPast(listed: readonly LogShard[], ended: readonly string[]): ReadonlySet<string> {
  const past = new Set(ended);
  for (let before = 0; before < past.size; ) {
    before = past.size;
    for (const { shardId, parents } of listed) if (parents.some((parent) => past.has(parent))) past.add(shardId);
  }
  for (const shardId of ended) past.delete(shardId);
  return past;
}

const newShard = (entry: ShardEntry): Shard => ({
  entry,
  state: { kind: "idle" },
  cursor: null,
  lastReadAt: millis(0),
  verified: false,
  caughtUp: false,
  behindMillis: 0,
  ended: false,
});

const wantsRead = (shard: Shard): boolean =>
  shard.state.kind === "idle" && shard.entry.at.kind === "open" && !shard.ended;

function openPosition(entry: ShardEntry): Position {
  if (entry.at.kind === "open") return entry.at.position;
  throw new StreamError("bug", `shard ${entry.shardId} is finished and has no position`);
}

/** P1: up to the last record's arrival; to the server's now where the read was empty with nothing behind it. */
function readToAfter(position: Position, batch: Batch): Millis | null {
  const last = batch.records.at(-1);
  if (last !== undefined) return arrivalOf(last, position);
  return batch.behindMillis === 0 ? millis(Math.max(position.readTo ?? 0, batch.serverNow)) : position.readTo;
}

/** Bounded input is read to the last record that was taken. */
function arrivalOf(last: LogRecord | null, position: Position): Millis | null {
  return last === null ? position.readTo : millis(Math.max(position.readTo ?? 0, last.arrivedAt));
}

/** P1: the read that finds the end of a shard leaves readTo as it was. Where nothing was promised yet, its last record speaks. */
function endReadTo(position: Position, batch: Batch): Millis {
  return position.readTo ?? batch.records.at(-1)?.arrivedAt ?? batch.serverNow;
}

function moved(position: Position, last: LogRecord | null, readTo: Millis | null): Position {
  if (last !== null)
    return { kind: "after", sequenceNumber: last.sequenceNumber, sub: null, readTo: readTo ?? millis(0) };
  if (readTo === null) return position;
  // P0: the horizon promises what is there at its first read; from then on it is checked.
  if (position.kind === "horizon") return { kind: "beginning", readTo };
  return { ...position, readTo };
}

function decode(source: Source<unknown>, data: Uint8Array, position: RecordPosition): unknown {
  try {
    return source.decode(data);
  } catch (cause) {
    const why = cause instanceof StreamError ? cause.message : "it does not decode";
    throw new StreamError(
      "invalid",
      `source "${position.source}", shard ${position.shard}, sequence number ${position.sequenceNumber}: ${why} (codec ${source.config.codec})`,
      { cause },
    );
  }
}
