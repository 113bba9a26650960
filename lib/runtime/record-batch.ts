import { type DedupeState, dedupe, emptyDedupe } from "../model/dedupe.js";
import { StreamError } from "../model/errors.js";
import type { Millis } from "../model/ids.js";
import type { Source } from "../pipeline/source.js";
import type { LogRecord, LogRecords } from "../ports/log.js";
import { type UserRecord, userRecordsOf, withinShard } from "./aggregates.js";
import { type Batch, type Given, type Place, type Receiver, undecodable } from "./batch.js";
import type { CurrentRecord, ShardView } from "./record-view.js";

/** What a batch of records needs to know of its shard. */
export interface RecordsOf {
  readonly source: Source<unknown>;
  readonly view: ShardView;
  readonly hashKeys: readonly [first: string, last: string];
  /** C6: before the first of these records. */
  readonly taken: DedupeState | undefined;
}

/** Records of Kinesis, those in aggregates one by one. */
export class RecordBatch implements Batch, CurrentRecord {
  readonly #of: RecordsOf;
  readonly #records: readonly LogRecord[];
  /** Of the record whose turn it is. */
  #index: number;
  /** The user records of that record, and which of them is next; null: it was not looked at yet, or is no aggregate. */
  #users: readonly UserRecord[] | null = null;
  #nextUser = 0;
  /** The last one given, or passed over. */
  #last: LogRecord | null = null;
  #lastSub: number | null = null;
  /** What is being given. */
  #record: LogRecord | undefined;
  #user: UserRecord | null = null;
  #taken: DedupeState | undefined;

  /** @param behind the index of the first record behind the position, and `sub` of the position that lies within it */
  constructor(of: RecordsOf, read: LogRecords, behind: { readonly index: number; readonly sub: number | null }) {
    this.#of = of;
    this.#records = read.records;
    this.#index = behind.index;
    this.#taken = of.taken;
    if (behind.sub !== null) this.#resume(behind.sub);
  }

  give(to: Receiver): Given {
    this.#of.view.at = this;
    const end = this.#of.source.config.end;
    for (;;) {
      const record = this.#records[this.#index];
      if (record === undefined) return "usedUp";
      if (end !== null && record.arrivedAt >= end) return "end";
      if (!this.#giveOne(record, to)) return this.#index < this.#records.length ? "stopped" : "usedUp";
    }
  }

  get isBegun(): boolean {
    return this.#last !== null;
  }

  taken(): DedupeState | undefined {
    return this.#taken;
  }

  place(): Place | null {
    if (this.#last === null) return null;
    const { sequenceNumber, arrivedAt } = this.#last;
    return { sequenceNumber, sub: this.#lastSub, arrivedAt };
  }

  get sequenceNumber(): string {
    return this.#record?.sequenceNumber ?? "";
  }
  get subSequenceNumber(): number | null {
    return this.#user?.sub ?? null;
  }
  get arrivedAt(): Millis | null {
    return this.#record?.arrivedAt ?? null;
  }
  get data(): Uint8Array {
    return this.#user?.data ?? this.#record?.data ?? nothing;
  }

  /** One record of its own, or what is left of an aggregate. False where the receiver has enough. */
  #giveOne(record: LogRecord, to: Receiver): boolean {
    this.#record = record;
    this.#users ??= this.#usersOf(record);
    if (this.#users === null) {
      this.#user = null;
      const isRepeat = this.#deliver(record.data, to) === "repeat";
      this.#pass(record);
      return isRepeat || to.mayGoOn();
    }
    return this.#giveUsers(record, this.#users, to);
  }

  #giveUsers(record: LogRecord, users: readonly UserRecord[], to: Receiver): boolean {
    for (let user = users[this.#nextUser]; user !== undefined; user = users[this.#nextUser]) {
      this.#user = user;
      this.#deliver(user.data, to);
      this.#nextUser += 1;
      if (this.#nextUser === users.length) break;
      this.#last = record;
      this.#lastSub = user.sub;
      if (!to.mayGoOn()) return false;
    }
    this.#pass(record);
    return users.length === 0 || to.mayGoOn();
  }

  #pass(record: LogRecord): void {
    this.#last = record;
    this.#lastSub = null;
    this.#index += 1;
    this.#users = null;
    this.#nextUser = 0;
  }

  #deliver(data: Uint8Array, to: Receiver): "given" | "repeat" {
    const { source, view } = this.#of;
    let value: unknown;
    try {
      const payload = source.config.deduplicate === true ? this.#freshIn(data) : data;
      if (payload === null) return "repeat";
      value = source.codec.decode(payload);
    } catch (cause) {
      to.onBad(undecodable(view, source.codec.name, cause), view);
      return "given";
    }
    to.take(value, view);
    return "given";
  }

  /** C6: what the record holds; null: it was taken before, or comes again behind one that is missing. */
  #freshIn(data: Uint8Array): Uint8Array | null {
    const { state, fresh, payload } = dedupe(this.#taken ?? emptyDedupe, data);
    this.#taken = state;
    return fresh ? payload : null;
  }

  #usersOf(record: LogRecord): readonly UserRecord[] | null {
    const { source, hashKeys } = this.#of;
    const { aggregation } = source.config;
    if (aggregation === "none") return null;
    const users = userRecordsOf(record.data);
    return users === null || aggregation === "unchecked" ? users : withinShard(users, hashKeys);
  }

  /** P1: the record AT the position is read again, and what was taken of it is dropped. */
  #resume(sub: number): void {
    const record = this.#records[this.#index];
    if (record === undefined) return;
    this.#users = this.#usersOf(record);
    if (this.#users === null) {
      const { view, source } = this.#of;
      throw new StreamError(
        "invalid",
        `source "${view.source}", shard ${view.shard}, sequence number ${record.sequenceNumber}: the checkpoint lies within an aggregate, behind its user record ${sub}, but the record is none (aggregation "${source.config.aggregation}"); read it with the option of before`,
      );
    }
    const next = this.#users.findIndex((user) => user.sub > sub);
    if (next === -1) this.#pass(record);
    else this.#nextUser = next;
  }
}

const nothing = new Uint8Array(0);
