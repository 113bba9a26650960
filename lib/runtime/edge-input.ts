import type { Range } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import type { FrameSlice, Lane, Note } from "../model/frames.js";
import { type CheckpointId, checkpointId, type Generation } from "../model/ids.js";
import { intersection } from "../model/key-ranges.js";
import type { Exchange, Sent } from "../ports/exchange.js";

/** Frames of a range that are read before they are taken: so much memory a lane may take. */
const aheadMax = 4;
const aheadBytesMax = 4 * 1024 * 1024;

/** A frame that was read: what of it is this task's. */
export interface ReadFrame {
  readonly range: Range;
  readonly note: Note;
  readonly slices: readonly { readonly slice: FrameSlice; readonly bytes: Uint8Array }[];
}

/** A range that is still expected (E2), and what of it was read. */
interface Expected {
  readonly range: Range;
  next: number;
  readonly frames: ReadFrame[];
  bytes: number;
  /** The epoch of the last frame that was taken. */
  passed: CheckpointId;
  isReading: boolean;
  /** The last frame that is known to be there: of an open range by its producer's word (E5). */
  there: number;
  /** Its producer had told of no more when it was asked last. */
  isQuiet: boolean;
}

export interface EdgeInputOptions {
  readonly edge: string;
  readonly incarnation: string;
  readonly generation: Generation;
  /** What a checkpoint says is still to come, and the lanes of the own generation (E2). */
  readonly ranges: readonly Range[];
}

/** The consumer's side of an edge: takes the frames of its ranges, those of earlier generations first (E2), each whole. */
export class EdgeInput {
  readonly edge: string;
  /** Taken since the last cut. */
  changed = false;
  readonly #exchange: Exchange;
  readonly #options: EdgeInputOptions;
  #expected: Expected[];
  /** Whose turn it is among the ranges that may be taken: none waits for a full one. */
  #turn = 0;

  constructor(exchange: Exchange, options: EdgeInputOptions) {
    this.edge = options.edge;
    this.#exchange = exchange;
    this.#options = options;
    this.#expected = [...options.ranges].sort((a, b) => a.generation - b.generation).map(newExpected);
  }

  /** Starts a look at every range whose turn it is, of which a frame is there, and that has room. Each resolves when it has brought it. */
  pump(): readonly Promise<void>[] {
    return this.#inTurn.filter((expected) => hasRoom(expected) && isThere(expected)).map((one) => this.#look(one));
  }

  /** It is the turn of lanes of the own generation, and one of them has room. */
  get isOpen(): boolean {
    return this.#inTurn.some((expected) => expected.range.to === null && hasRoom(expected));
  }

  /** E5: what producers have told. False where it is nothing new. */
  hear(news: ReadonlyMap<number, Sent>): boolean {
    let isNew = false;
    for (const lane of this.#own) {
      const there = news.get(lane.range.producer)?.[this.edge] ?? 0;
      isNew ||= there > lane.there;
      lane.there = Math.max(lane.there, there);
      lane.isQuiet = !isThere(lane);
    }
    return isNew;
  }

  /**
   * The next frame, in turn, of at most this epoch (B2); null where none is there. It counts as taken: the caller gives all of it
   * to the operator before it cuts.
   */
  take(epochMax: CheckpointId): ReadFrame | null {
    const inTurn = this.#inTurn;
    for (let i = 0; i < inTurn.length; i++) {
      const expected = inTurn[(this.#turn + i) % inTurn.length];
      const frame = expected?.frames[0];
      if (expected === undefined || frame === undefined || !this.#mayTake(expected, frame, epochMax)) continue;
      this.#turn = (this.#turn + i + 1) % inTurn.length;
      this.#advance(expected, frame);
      return frame;
    }
    return null;
  }

  /** The greatest epoch of a frame that is at the head of its lane: a task that knows of no such checkpoint must look at the head. */
  get epochAhead(): number {
    return Math.max(0, ...this.#own.map(({ frames }) => frames[0]?.note.epoch ?? 0));
  }

  /** Aligned: all that was sent before checkpoint `c` was taken (B2). */
  isAligned(c: CheckpointId): boolean {
    const isAt = (lane: Expected) => (lane.frames[0]?.note.epoch ?? lane.passed) >= c;
    return !this.isBehind && this.#own.every(isAt);
  }

  /** At least once: every producer is known to have cut for `c`, whatever was taken since. */
  hasBarriers(c: CheckpointId): boolean {
    const hasCut = ({ passed, frames }: Expected) => passed >= c || frames.some(({ note }) => note.epoch >= c);
    return !this.isBehind && this.#own.every(hasCut);
  }

  /** At a cut: barriers at the head of a lane carry nothing, and are stepped over, so that aligned channels are empty. */
  passBarriers(c: CheckpointId): void {
    for (const expected of this.#own) {
      for (let frame = expected.frames[0]; frame !== undefined && isBarrier(frame, c); frame = expected.frames[0])
        this.#advance(expected, frame);
    }
  }

  /** E3: what is still expected, for the ack. */
  ranges(): readonly Range[] {
    return this.#expected.map(({ range, next }) => ({ ...range, from: next }));
  }

  /** Nothing is there, as far as was seen. */
  get isIdle(): boolean {
    return this.#expected.every(({ range, isQuiet, frames }) => range.to === null && isQuiet && frames.length === 0);
  }

  /** Frames wait to be taken. */
  get isHolding(): boolean {
    return this.#inTurn.some(({ frames }) => frames.length > 0);
  }

  /** Ranges of earlier generations are left: what is fused with its producer takes nothing else before (E4). */
  get isBehind(): boolean {
    return this.#own.length < this.#expected.length;
  }

  /** E5: of each producer of the own generation the last frame that was taken. */
  taken(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#own.map(({ range, next }) => [laneName(range), next - 1]));
  }

  /** E2: none of a generation while a range of an earlier one, of whatever producer, is left. */
  get #inTurn(): readonly Expected[] {
    const first = this.#expected[0]?.range.generation;
    return this.#expected.filter(({ range }) => range.generation === first);
  }

  get #own(): readonly Expected[] {
    return this.#expected.filter(({ range }) => range.to === null);
  }

  #mayTake({ range }: Expected, { note }: ReadFrame, epochMax: CheckpointId): boolean {
    return range.generation < this.#options.generation || note.epoch <= epochMax;
  }

  #advance(expected: Expected, frame: ReadFrame): void {
    expected.frames.shift();
    expected.bytes -= bytesOf(frame);
    expected.next = frame.note.n + 1;
    this.changed ||= frame.slices.length > 0;
    expected.passed = frame.note.epoch;
    if (expected.range.to !== null && expected.next > expected.range.to)
      this.#expected = this.#expected.filter((other) => other !== expected);
  }

  async #look(expected: Expected): Promise<void> {
    expected.isReading = true;
    const { range, frames, there } = expected;
    const from = expected.next + frames.length;
    const limit = Math.min(aheadMax - frames.length, there - from + 1);
    const notes = await this.#exchange.notes(laneOf(this.#options.incarnation, range), from, limit);
    if (notes.length === 0) throw missing(range, from);
    const read = await Promise.all(notes.map((note) => this.#read(range, note)));
    for (const frame of read) {
      frames.push(frame);
      expected.bytes += bytesOf(frame);
    }
    expected.isReading = false;
  }

  async #read(range: Range, note: Note): Promise<ReadFrame> {
    const mine = note.slices.filter(({ keyGroups }) => intersection(keyGroups, range.keyGroups) !== null);
    const slices = await Promise.all(
      mine.map(async (slice) => ({ slice, bytes: await this.#exchange.read(note, slice) })),
    );
    return { range, note, slices };
  }
}

/** As progress names it. */
export const laneName = ({ edge, producer }: Pick<Range, "edge" | "producer">): string => `${edge}/${producer}`;

const laneOf = (incarnation: string, { generation, edge, producer }: Range): Lane => ({
  incarnation,
  generation,
  edge,
  producer,
});

const newExpected = (range: Range): Expected => ({
  range,
  next: range.from,
  frames: [],
  bytes: 0,
  passed: checkpointId(0),
  isReading: false,
  there: range.to ?? 0,
  isQuiet: false,
});

const hasRoom = ({ frames, bytes, isReading }: Expected): boolean =>
  !isReading && frames.length < aheadMax && bytes < aheadBytesMax;

/** A frame that was not yet asked for. */
const isThere = ({ next, frames, there }: Expected): boolean => next + frames.length <= there;

const isBarrier = ({ note }: ReadFrame, c: CheckpointId): boolean => note.records === 0 && note.epoch === c;

const bytesOf = ({ slices }: ReadFrame): number => slices.reduce((sum, { bytes }) => sum + bytes.length, 0);

function missing({ edge, generation, producer, to }: Range, n: number): StreamError {
  return new StreamError(
    "corrupt",
    `edge "${edge}": frame ${n} of producer ${producer} in generation ${generation} is gone, which ${to === null ? "its producer has told of (E5)" : "the checkpoint names (E3)"}: was it deleted by hand, or by a lifecycle rule? Restore from another checkpoint`,
  );
}
