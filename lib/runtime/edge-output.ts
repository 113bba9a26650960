import type { KeyGroups } from "../model/checkpoints.js";
import type { Lane } from "../model/frames.js";
import type { CheckpointId, Millis, SessionId } from "../model/ids.js";
import type { Key } from "../model/keys.js";
import type { Clock } from "../ports/clock.js";
import type { Exchange, Frame } from "../ports/exchange.js";
import { FrameWriter } from "./frame-writer.js";
import type { SentNews } from "./lane-news.js";
import type { RecordView } from "./record-view.js";

/** A frame is closed when it has so many bytes, or its first record has waited for so long. */
export const frameBytes = 1024 * 1024;
export const frameMillis = 200;
/** Frames that wait to be put: beyond, no record is taken. */
const waitingMax = 4;

export interface EdgeOutputOptions {
  readonly lane: Lane;
  /** The key groups of each task of the consuming stage. */
  readonly consumers: readonly KeyGroups[];
  readonly session: SessionId;
  /** What the task had sent at the ack that it starts from: the next frame has the next number (E1). */
  readonly sent: number;
  readonly epoch: CheckpointId;
}

/** The producer's side of an edge: records become frames with names (E1), which are put in order, one after the other. */
export class EdgeOutput {
  readonly edge: string;
  readonly #exchange: Exchange;
  readonly #clock: Clock;
  readonly #options: EdgeOutputOptions;
  readonly #writer: FrameWriter;
  #epoch: CheckpointId;
  #last: number;
  /** When the first record of the open frame came. */
  #since: Millis | null = null;
  #waiting = 0;
  #putting: Promise<void> = Promise.resolve();
  readonly #news: SentNews;

  constructor(exchange: Exchange, clock: Clock, news: SentNews, options: EdgeOutputOptions) {
    this.#news = news;
    this.edge = options.lane.edge;
    this.#exchange = exchange;
    this.#clock = clock;
    this.#options = options;
    this.#writer = new FrameWriter(this.edge, options.consumers);
    this.#epoch = options.epoch;
    this.#last = options.sent;
  }

  /** The number of the last frame that was closed. */
  get sent(): number {
    return this.#last;
  }

  /** Frames wait to be put: no more records should come. */
  get isPressed(): boolean {
    return this.#waiting >= waitingMax;
  }

  /** The open frame should be closed before more comes. */
  get isFull(): boolean {
    return this.#writer.bytes >= frameBytes;
  }

  get isHeld(): boolean {
    return this.isFull || this.isPressed;
  }

  /** @throws StreamError `invalid` for a value that would not come back as it is, naming the operator that the edge feeds */
  add(key: Key, input: 0 | 1, value: unknown, record: RecordView): void {
    this.#writer.add(key, input, value, record);
    this.#since ??= this.#clock.now();
  }

  mark(): void {
    this.#writer.mark();
  }

  rollback(): void {
    this.#writer.rollback();
  }

  /** Closes the frame where it is full, or its first record has waited long enough. To be called between two records. */
  flushDue(): Promise<void> | null {
    if (this.#writer.records === 0 || this.#since === null) return null;
    const isDue = this.isFull || this.#since + frameMillis <= this.#clock.now();
    return isDue ? this.#close() : null;
  }

  /** How long the open frame may still wait; null: it is empty. */
  get dueIn(): number | null {
    return this.#writer.records === 0 || this.#since === null ? null : this.#since + frameMillis - this.#clock.now();
  }

  /**
   * B2: ends the epoch. What of it is not put yet is, with what waits, durable when the promise resolves (B3).
   *
   * @param barrier the consumers wait for this cut: they are told by an empty frame of the new epoch, which counts as sent
   */
  cut(
    next: CheckpointId,
    barrier: "barrier" | "no barrier",
  ): { readonly sent: number; readonly durable: Promise<void> } {
    if (this.#writer.records > 0) this.#close();
    this.#epoch = next;
    if (barrier === "barrier") this.#close();
    return { sent: this.#last, durable: this.#putting.then(() => this.#news.told()) };
  }

  /** Frames are numbered when they are closed, so that the cut knows the last one (E3). */
  #close(): Promise<void> {
    const { bytes, slices, records } = this.#writer.take();
    const frame: Frame = {
      n: ++this.#last,
      epoch: this.#epoch,
      session: this.#options.session,
      records,
      slices,
      bytes,
    };
    this.#since = null;
    this.#waiting += 1;
    this.#putting = this.#putting.then(async () => {
      await this.#exchange.put(this.#options.lane, frame);
      this.#waiting -= 1;
      this.#news.put(this.edge, frame.n);
    });
    const told = this.#putting.then(() => this.#news.told());
    // It is awaited by an activity of the session, or before the ack; until then a failure must not end the process.
    told.catch(() => undefined);
    return told;
  }
}
