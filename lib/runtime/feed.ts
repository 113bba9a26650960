import { type Millis, millis } from "../model/ids.js";
import type { Clock } from "../ports/clock.js";
import { hasWaiting, isPressed, type Output } from "./outputs.js";
import type { RecordView } from "./record-view.js";
import type { SourceReader } from "./source-reader.js";
import type { Task } from "./task.js";

/** A slice of work ends after so long, so that looks at the head, answers and other shards get their turn. */
const sliceMillis = 20;
/** Clock and sinks are asked once in so many records. */
const recordsBetweenLooks = 32;

/** `held`: a call or a sink must come forward first. `more`: the slice is over. */
export type Fed = "nothing left" | "more" | "held";

/** Gives the task what its readers hold, slice by slice, while nothing holds it up. */
export class Feed {
  readonly #task: Task<Output>;
  readonly #readers: readonly SourceReader[];
  readonly #clock: Clock;
  #until: Millis = millis(0);
  #left = 0;
  #isOver = false;
  #heldRowsMax = Number.POSITIVE_INFINITY;

  constructor(task: Task<Output>, readers: ReadonlyMap<string, SourceReader>, clock: Clock) {
    this.#task = task;
    this.#readers = [...readers.values()];
    this.#clock = clock;
  }

  /**
   * What waits in the readers is taken, for a slice of time.
   *
   * @param heldRowsMax of an epoch: beyond, a cut must come first. @throws StreamError as {@link Task.take} does
   */
  slice(heldRowsMax: number): Fed {
    this.#heldRowsMax = heldRowsMax;
    this.#until = millis(this.#clock.now() + sliceMillis);
    this.#left = recordsBetweenLooks;
    this.#isOver = false;
    for (const reader of this.#readers) {
      for (const shard of reader.holding()) {
        if (this.#isHeldUp) return "held";
        if (!this.#isOver) reader.consume(shard, this.#take, this.#mayGoOn);
      }
    }
    if (this.#isHeldUp) return "held";
    return this.isHolding ? "more" : "nothing left";
  }

  /** Records have been read that no operator has seen. */
  get isHolding(): boolean {
    return this.#readers.some((reader) => reader.holding().length > 0);
  }

  /** All is read, and nothing of it is under way. */
  get isIdle(): boolean {
    return this.#readers.every((reader) => reader.idle) && !this.isHolding && this.#task.inFlight === 0;
  }

  /** Bounded input: all is processed. */
  get isFinished(): boolean {
    return this.#readers.every((reader) => reader.finished) && this.#task.inFlight === 0;
  }

  /** A sink that shows rows at checkpoints has as many as it should have: a checkpoint should come. */
  get needsCut(): boolean {
    for (const output of this.#task.outputs.values()) {
      if (output.kind === "held" && isPressed(output, this.#heldRowsMax)) return true;
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
    this.#left -= 1;
    if (this.#left > 0) return true;
    this.#left = recordsBetweenLooks;
    this.#isOver = this.#clock.now() >= this.#until || this.#isHeldUp;
    return !this.#isOver;
  };

  get #isHeldUp(): boolean {
    if (this.#task.isFull) return true;
    for (const output of this.#task.outputs.values()) if (isPressed(output, this.#heldRowsMax)) return true;
    return false;
  }
}
