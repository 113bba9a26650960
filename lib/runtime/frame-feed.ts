import type { CheckpointId } from "../model/ids.js";
import type { Channels } from "./channels.js";
import type { EdgeInput, ReadFrame } from "./edge-input.js";
import { SliceReader } from "./frame-reader.js";
import type { Output } from "./outputs.js";
import type { Task } from "./task.js";

/** Gives a task the records of its frames. A frame is begun only when the one before is used up, and a cut comes between two. */
export class FrameFeed {
  readonly #task: Task<Output>;
  readonly #inputs: readonly EdgeInput[];
  /** The parts of the frame that is begun which are left. */
  #left: SliceReader[] = [];
  #edge = "";
  /** Where the next look for a frame begins. */
  #turn = 0;

  constructor(task: Task<Output>, { inputs }: Channels) {
    this.#task = task;
    this.#inputs = inputs;
  }

  get isBegun(): boolean {
    return this.#left.length > 0;
  }

  /**
   * Gives records one by one while `mayGoOn` says so after each. False where it said no.
   *
   * @param epochMax of frames that may be begun; null: none may, only what is begun is given
   */
  give(epochMax: CheckpointId | null, mayGoOn: () => boolean): boolean {
    for (;;) {
      if (!this.#giveBegun(mayGoOn)) return false;
      if (epochMax === null || !this.#begin(epochMax)) return true;
    }
  }

  #giveBegun(mayGoOn: () => boolean): boolean {
    for (let slice = this.#left[0]; slice !== undefined; slice = this.#left[0]) {
      while (slice.next()) {
        this.#task.takeFrom(this.#edge, slice.input, slice.key, slice.value, slice.record);
        if (!mayGoOn()) return false;
      }
      this.#left.shift();
    }
    return true;
  }

  /**
   * The next frame, of any edge. E4: an operator may be fused with one before it, and what the last of them has still to take of earlier
   * generations was sent before all that those before it would give it now. Inputs stand in the order of the graph.
   */
  #begin(epochMax: CheckpointId): boolean {
    const behind = this.#inputs.findLast((input) => input.isBehind);
    const inputs = behind === undefined ? this.#inputs : [behind];
    for (let i = 0; i < inputs.length; i++) {
      const input = inputs[(this.#turn + i) % inputs.length];
      const taken = input?.take(epochMax) ?? null;
      if (input === undefined || taken === null) continue;
      this.#turn = (this.#turn + i + 1) % inputs.length;
      this.#edge = input.edge;
      this.#left = readersOf(input.edge, taken);
      return true;
    }
    return false;
  }
}

const readersOf = (edge: string, { range, slices }: ReadFrame): SliceReader[] =>
  slices.map(({ slice, bytes }) => new SliceReader(edge, bytes, slice, range.keyGroups));
