import type { CheckpointId } from "../model/ids.js";
import { type Millis, millis } from "../model/ids.js";
import type { Clock } from "../ports/clock.js";
import type { Channels } from "./channels.js";
import { FrameFeed } from "./frame-feed.js";
import { hasWaiting, isPressed, needsCut, type Output } from "./outputs.js";
import type { RecordView } from "./record-view.js";
import type { SourceReader } from "./source-reader.js";
import type { Task } from "./task.js";

/** A slice of work ends after so long, so that looks at the head, answers and other shards get their turn. */
const sliceMillis = 20;
/** Clock and sinks are asked once in so many records. */
const recordsBetweenLooks = 32;

/** `held`: a call or a sink must come forward first. `more`: the slice is over. */
export type Fed = "nothing left" | "more" | "held";

/** What may be taken in a slice. */
export interface SliceLimits {
  /** Rows of an epoch that a held sink keeps: beyond, a cut must come first. */
  readonly heldRowsMax: number;
  /** Of frames (B2). */
  readonly epochMax: CheckpointId;
  /** `frames`: a cut is due, and waits for those that were sent before it. `none`: the rest of a frame that is begun, and no more. */
  readonly from: "all" | "frames" | "none";
}

/** Gives the task what its readers and its channels hold, slice by slice, while nothing holds it up. */
export class Feed {
  readonly #task: Task<Output>;
  readonly #readers: readonly SourceReader[];
  readonly #channels: Channels;
  readonly #frames: FrameFeed;
  readonly #clock: Clock;
  #until: Millis = millis(0);
  #left = 0;
  #isOver = false;
  #heldRowsMax = Number.POSITIVE_INFINITY;

  constructor(task: Task<Output>, readers: ReadonlyMap<string, SourceReader>, channels: Channels, clock: Clock) {
    this.#task = task;
    this.#readers = [...readers.values()];
    this.#channels = channels;
    this.#frames = new FrameFeed(task, channels);
    this.#clock = clock;
  }

  /** What waits is taken, for a slice of time. @throws StreamError as {@link Task.take} does */
  slice({ heldRowsMax, epochMax, from }: SliceLimits): Fed {
    // What a cut waits for is taken, however many rows it gives: they are held until that very cut.
    this.#heldRowsMax = from === "all" ? heldRowsMax : Number.POSITIVE_INFINITY;
    this.#until = millis(this.#clock.now() + sliceMillis);
    this.#left = recordsBetweenLooks;
    this.#isOver = false;
    if (this.#isHeldUp) return "held";
    const most = from === "none" ? null : epochMax;
    if (!this.#frames.give(most, this.#mayGoOn)) return this.#isHeldUp ? "held" : "more";
    const takesRecords = from === "all" && !this.#channels.isBehind;
    if (takesRecords) this.#giveRecords();
    if (this.#isHeldUp) return "held";
    return this.#isOver || (takesRecords && this.#isReading) ? "more" : "nothing left";
  }

  #giveRecords(): void {
    for (const reader of this.#readers) {
      for (const shard of reader.holding()) {
        if (this.#isHeldUp) return;
        if (!this.#isOver) reader.consume(shard, this.#take, this.#mayGoOn);
      }
    }
  }

  /** A frame is taken in part: no cut may come (E3). */
  get isMidFrame(): boolean {
    return this.#frames.isBegun;
  }

  /** Records have been read that no operator has seen. */
  get isHolding(): boolean {
    return this.#isReading || this.isMidFrame || this.#channels.inputs.some((input) => input.isHolding);
  }

  get #isReading(): boolean {
    return this.#readers.some((reader) => reader.holding().length > 0);
  }

  /** All is read, and nothing of it is under way. */
  get isIdle(): boolean {
    const nothingComes = this.#readers.every((reader) => reader.idle) && this.#channels.isIdle;
    return nothingComes && !this.isHolding && this.#task.inFlight === 0;
  }

  /** Bounded input: all that this task reads is processed. What comes by channels is drained at the last cut, which is aligned. */
  get isFinished(): boolean {
    return this.#readers.every((reader) => reader.finished) && this.#task.inFlight === 0;
  }

  /** A sink that shows rows at checkpoints has as many as it should have: a checkpoint should come. */
  get needsCut(): boolean {
    for (const output of this.#task.outputs.values()) {
      if (needsCut(output, this.#heldRowsMax)) return true;
    }
    return false;
  }

  /** Passes rows on that need no checkpoint, such as what a file sink stages. */
  relieve(): readonly Promise<void>[] {
    return [...this.#task.outputs.values()].filter(hasWaiting).map((output) => output.flush());
  }

  readonly #take = (value: unknown, record: RecordView): void => this.#task.take(value, record);

  readonly #mayGoOn = (): boolean => {
    if (this.#task.isFull) return false;
    if (this.#channels.isFull) {
      this.#isOver = true;
      return false;
    }
    this.#left -= 1;
    if (this.#left > 0) return true;
    this.#left = recordsBetweenLooks;
    this.#isOver = this.#clock.now() >= this.#until || this.#isHeldUp;
    return !this.#isOver;
  };

  get #isHeldUp(): boolean {
    if (this.#task.isFull || this.#channels.isPressed) return true;
    for (const output of this.#task.outputs.values()) if (isPressed(output, this.#heldRowsMax)) return true;
    return false;
  }
}
