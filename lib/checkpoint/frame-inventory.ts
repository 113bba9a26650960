import { type Generation, generation, padded } from "../model/ids.js";
import { type Frontier, laneId } from "./frames-garbage.js";
import { type Judge, mayLive, type Stock, storedKeysIn } from "./garbage.js";
import * as names from "./names.js";
import { repeat } from "./repeat.js";
import type { CheckpointStore } from "./store.js";

/** Notes that one call finds, and their frames with them. */
export const framesMax = 10_000;
/** A note may hold a small frame, and an index of as many parts as there are tasks. */
const notesAtOnce = 100;

export interface FramesFound {
  readonly objects: readonly string[];
  readonly notes: readonly string[];
  /** False where there is more than {@link framesMax}. */
  readonly isWhole: boolean;
}

/**
 * The notes that may go. Of the current generation their frames with them: its part of the bucket is not listed, for almost all there
 * is in use. Frames without a note, which a session left that died in between, are found when the generation is over.
 *
 * Generations that may still act are stepped over, and so is what lies beyond a frontier: what is read is hardly more than what goes.
 */
export async function listFrames(store: CheckpointStore, stock: Stock, judged: Judge): Promise<FramesFound> {
  const search = new Search(store, stock, judged);
  const { head } = stock;
  const isPast = (at: Generation | null): at is Generation => at !== null && at < head.generation && !search.isFull;
  for (let at = await search.firstFrom(generation(1)); isPast(at); at = await search.firstFrom(generation(at + 1))) {
    if (!mayLive(at, stock)) await search.generation(at);
  }
  for (const frontier of stock.frames.frontiers.values()) await search.lane(frontier);
  return { objects: search.objects, notes: search.notes, isWhole: !search.isFull };
}

class Search {
  readonly objects: string[] = [];
  readonly notes: string[] = [];
  readonly #store: CheckpointStore;
  readonly #stock: Stock;
  readonly #judged: Judge;

  constructor(store: CheckpointStore, stock: Stock, judged: Judge) {
    this.#store = store;
    this.#stock = stock;
    this.#judged = judged;
  }

  get isFull(): boolean {
    return this.notes.length >= framesMax;
  }

  /** The first generation from this one on that has notes. */
  async firstFrom(from: Generation): Promise<Generation | null> {
    const [first] = await this.#page(this.#prefix, this.#prefixOf(from), 1);
    const digits = /^(\d{8,})\//.exec(first?.name.slice(this.#prefix.length) ?? "")?.[1];
    return digits === undefined ? null : generation(Number(digits));
  }

  /** The frames of one that is over are found in the bucket, which is listed (R6). */
  async generation(of: Generation): Promise<void> {
    const prefix = this.#prefixOf(of);
    for (let from = prefix; ; ) {
      const page = await this.#page(prefix, from, notesAtOnce);
      for (const { name } of page) this.#judge(name);
      const last = page.at(-1);
      if (last === undefined || page.length < notesAtOnce || this.isFull) return;
      from = behind(last.name);
    }
  }

  /** Notes of a lane have no gap but where some went: no more is read than lies before the frontier. */
  async lane({ edge, producer, first }: Frontier): Promise<void> {
    const lane = { incarnation: this.#incarnation, generation: this.#stock.head.generation, edge, producer };
    for (let from = 1, limit = 1; from < first && !this.isFull; limit = Math.min(notesAtOnce, first - from)) {
      const page = await this.#page(names.notePrefix(lane), names.noteName(lane, from), limit);
      for (const { name, body } of page) if (this.#judge(name)) this.objects.push(...this.#framesIn(name, body));
      const last = page.at(-1);
      if (last === undefined || page.length < limit) return;
      from = (names.parseItemName(this.#incarnation, last.name) as names.FrameName).n + 1;
    }
  }

  #judge(name: string): boolean {
    const parsed = names.parseItemName(this.#incarnation, name);
    const goes = parsed?.kind === "note" && !this.isFull && this.#judged.item(name, parsed) !== null;
    if (goes) this.notes.push(name);
    return goes;
  }

  /** The objects of a note: none but its own, whatever it says. */
  #framesIn(note: string, body: string): readonly string[] {
    const parsed = names.parseItemName(this.#incarnation, note);
    const prefix = names.incarnationPrefix(this.#store.pipeline, this.#incarnation);
    return [...keysIn(body)].filter((key) => {
      const name = names.parseObjectKey(prefix, key);
      if (name?.kind !== "frame" || parsed?.kind !== "note") return false;
      return laneId(name) === laneId(parsed) && name.n === parsed.n;
    });
  }

  get #incarnation(): string {
    return this.#stock.head.incarnation;
  }

  get #prefix(): string {
    return names.itemPrefixes(this.#incarnation).note;
  }

  #prefixOf(of: Generation): string {
    return `${this.#prefix}${padded(of, 8)}/`;
  }

  async #page(prefix: string, from: string, limit: number): Promise<readonly { name: string; body: string }[]> {
    const { clock, registers, pipeline } = this.#store;
    const found = await repeat(clock, () => registers.list(pipeline, prefix, { from, limit }));
    return found.map(({ name, register }) => ({ name, body: register.body }));
  }
}

/** The next name in byte order. */
const behind = (name: string): string => `${name}!`;

/** A note that cannot be read names nothing: its frame is found when its generation is over. */
function keysIn(body: string): ReadonlySet<string> {
  try {
    return storedKeysIn(JSON.parse(body));
  } catch {
    return new Set();
  }
}
