import { setMaxListeners } from "node:events";
import { repeat } from "../checkpoint/repeat.js";
import type { StreamError } from "../model/errors.js";
import { type Generation, type Millis, millis } from "../model/ids.js";
import type { ShardEntry, SourceTable } from "../model/shards.js";
import { isBounded, isFile, type Source } from "../pipeline/source.js";
import type { Clock } from "../ports/clock.js";
import type { Log, LogLines, LogRecords } from "../ports/log.js";
import type { Batch } from "./batch.js";
import { LineBatch } from "./line-batch.js";
import { beginPast, endsWithin } from "./past-end.js";
import { endReadTo, kept, moved, openAt, openPosition, readToAfter, readToOf } from "./positions.js";
import { RecordBatch } from "./record-batch.js";
import { type RecordView, ShardView } from "./record-view.js";
import { type Fetched, readShard, type ShardCursor } from "./shard-reads.js";

/** What the next pump does with a shard: at most one read or one batch of each, so that memory is bounded and all shards get turns. */
type ShardState =
  | { readonly kind: "idle" }
  | { readonly kind: "reading" }
  | { readonly kind: "holding"; readonly read: LogRecords | LogLines; readonly batch: Batch };

interface Shard extends ShardCursor {
  entry: ShardEntry;
  readonly view: ShardView;
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
  /** The number of this task in its generation: `finished` entries name it (K3). */
  readonly producer: number;
  /** K2: which of the shards this task reads. Of the others it only sees who came out of whom. */
  readonly owns: (entry: ShardEntry) => boolean;
  /** Gets the records that do not decode, instead of `take`; where it returns, the position moves behind them. Else they throw. */
  readonly onBad?: ((error: StreamError, record: RecordView) => void) | undefined;
}

/** Between two looks at the list of shards, which the service answers ten times a second at most. */
const listGapMillis = 1_000;

/** Reads the shards of one source that a task owns, fair between them, and knows the position of each (K2, K3, P1). */
export class SourceReader {
  readonly options: ReaderOptions;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #shards = new Map<string, Shard>();
  /** Shards that are open, and that other tasks read. */
  #others: readonly string[] = [];
  /** Shards of which a child is in, whoever reads it. */
  #withChildren: ReadonlySet<string> = new Set();
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
    this.#withChildren = new Set(table.shards.flatMap((entry) => entry.parents));
    const isOther = (entry: ShardEntry) => !this.options.owns(entry) && entry.at.kind === "open";
    this.#others = table.shards.filter(isOther).map((entry) => entry.shardId);
    for (const entry of table.shards) {
      if (this.options.owns(entry) && !this.#shards.has(entry.shardId))
        this.#shards.set(entry.shardId, newShard(this.options.name, entry));
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
    const past = beginPast(listed, await this.#ended());
    const isPast = (parent: string) => {
      const children = listed.filter((shard) => shard.parents.includes(parent));
      return children.length > 0 && children.every((child) => past.has(child.shardId));
    };
    this.#endless = new Set([...this.#shards.keys()].filter(isPast));
    await this.#clock.sleep(listGapMillis, signal);
    this.#listing = false;
    return childless;
  }

  /** Shards in which the input ends: of its own it knows, those of other tasks are looked into. */
  async #ended(): Promise<readonly string[]> {
    const { stream, source } = this.options;
    const { end } = source.config;
    const ended = [...this.#shards.values()].filter((shard) => shard.ended).map((shard) => shard.entry.shardId);
    for (const shardId of this.#others) {
      if (end !== null && (await endsWithin(this.#log, stream, shardId, end))) ended.push(shardId);
    }
    return ended;
  }

  async #read(shard: Shard, signal: AbortSignal): Promise<string> {
    shard.state = { kind: "reading" };
    const fetched = await readShard(this.#log, this.#clock, this.options, shard, openPosition(shard.entry), signal);
    shard.state = { kind: "holding", read: fetched.read, batch: this.#batchOf(shard, fetched) };
    return shard.entry.shardId;
  }

  #batchOf({ view, entry }: Shard, { read, skip, sub }: Fetched): Batch {
    const { source } = this.options;
    if (read.kind === "lines") return new LineBatch(source, view, read, { skip });
    return new RecordBatch({ source, view, hashKeys: entry.hashKeys, taken: entry.at.taken }, read, {
      index: skip,
      sub,
    });
  }

  /** Shards with records that wait: after a pause of the session, or when it had enough, there may be several. */
  holding(): readonly string[] {
    return [...this.#shards.values()]
      .filter((shard) => shard.state.kind === "holding")
      .map((shard) => shard.entry.shardId);
  }

  /**
   * Gives the records of the shard's batch to `take`, one by one, as long as `mayGoOn` says so after each, and moves the position
   * behind the last one that was taken. The rest of the batch waits for the next call.
   *
   * @throws StreamError `invalid`: a record does not decode, and nobody takes it by `onBad`; names shard, sequence number and cause
   */
  consume(shardId: string, take: (value: unknown, record: RecordView) => void, mayGoOn: () => boolean): void {
    const shard = this.#shards.get(shardId);
    if (shard === undefined || shard.state.kind !== "holding") return;
    const { batch, read } = shard.state;
    const given = batch.give({ take, mayGoOn, onBad: this.options.onBad ?? thrown });
    if (batch.isBegun) this.changed = true;
    if (given === "usedUp") this.#advance(shard, read, batch);
    else shard.caughtUp = false;
    if (given !== "end") return;
    shard.entry = entryOf(shard);
    shard.state = { kind: "idle" };
    shard.ended = true;
  }

  #advance(shard: Shard, read: LogRecords | LogLines, batch: Batch): void {
    const last = batch.place();
    const position = openPosition(shard.entry);
    const { end } = this.options.source.config;
    shard.state = { kind: "idle" };
    if (read.kind === "records") {
      shard.caughtUp = last === null && read.behindMillis === 0;
      shard.behindMillis = read.behindMillis;
      // The end of a closed shard says nothing of its children, which may hold records before the end of the input.
      shard.ended = shard.caughtUp && end !== null && read.serverNow >= end && read.next !== null;
    }
    if (read.next !== null) {
      shard.entry = openAt(shard.entry, moved(position, last, readToAfter(position, read, last)), batch.taken());
      return;
    }
    this.changed = true;
    const { generation, producer } = this.options;
    const readTo = endReadTo(position, read, last);
    shard.entry = {
      ...shard.entry,
      at: { kind: "finished", generation, producer, sent: {}, readTo, ...kept(batch.taken()) },
    };
  }

  /**
   * For the ack: where every shard of this task stands.
   *
   * @param sent by this task up to the cut: a shard that it has read to its end says so (K3)
   */
  positions(
    sent: Readonly<Record<string, number>>,
  ): readonly { readonly shardId: string; readonly at: ShardEntry["at"] }[] {
    return [...this.#shards.values()]
      .map(entryOf)
      .map(({ shardId, at }) => ({ shardId, at: at.kind === "finished" && this.#isOwnEnd(at) ? { ...at, sent } : at }))
      .sort((a, b) => (a.shardId < b.shardId ? -1 : 1));
  }

  #isOwnEnd({ generation, producer }: Extract<ShardEntry["at"], { readonly kind: "finished" }>): boolean {
    return generation === this.options.generation && producer === this.options.producer;
  }

  /** All open shards are read to the tip, and none has ended whose children are not in. */
  get idle(): boolean {
    return this.#all((shard) =>
      shard.entry.at.kind === "open" ? shard.caughtUp || shard.ended : this.#childrenAreIn(shard),
    );
  }

  /** Bounded input is read to its end. */
  get finished(): boolean {
    if (!isBounded(this.options.source)) return false;
    return this.#all((shard) =>
      shard.entry.at.kind === "open"
        ? shard.ended
        : this.#childrenAreIn(shard) || this.#endless.has(shard.entry.shardId),
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
      const { at } = entryOf(shard);
      const position = at.kind === "open" ? at.position : null;
      return position !== null && position.readTo !== null && position.readTo < limit;
    });
  }

  /** A file has no children to wait for. */
  #childrenAreIn(parent: Shard): boolean {
    return isFile(this.options.source) || this.#hasChildren(parent);
  }

  #hasChildren(parent: Shard): boolean {
    return this.#withChildren.has(parent.entry.shardId);
  }

  #all(holds: (shard: Shard) => boolean): boolean {
    return [...this.#shards.values()].every(holds);
  }
}

const newShard = (source: string, entry: ShardEntry): Shard => ({
  entry,
  view: new ShardView(source, entry.shardId),
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

/** As it is now: of a batch that is half taken, behind its last record, and what is promised ends there (P1). Counted when asked. */
function entryOf({ entry, state }: Shard): ShardEntry {
  if (state.kind !== "holding") return entry;
  const last = state.batch.place();
  if (last === null) return entry;
  const position = openPosition(entry);
  return openAt(entry, moved(position, last, readToOf(position, last)), state.batch.taken());
}

function thrown(error: StreamError): never {
  throw error;
}
