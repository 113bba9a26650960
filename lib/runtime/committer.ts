import { coveredBy, observeCompletion } from "../checkpoint/permit.js";
import type { Json } from "../model/canonical-json.js";
import type { CommitPermit, Committable } from "../model/checkpoints.js";
import type { Head } from "../model/head.js";
import type { CheckpointId } from "../model/ids.js";
import { type CommitContext, commitCovered } from "./commit.js";

/** So long one commit may take: the session looks at nothing else of its list meanwhile, and a hand-over waits for it. */
const commitMillisMost = 10_000;
/** N1: a hand-over waits for a commit and for an ack, within the reserve. */
const commitMillisOf = (reserve: number): number => Math.min(commitMillisMost, reserve / 4);
/** In the longest commit, until it is known how fast the targets are. */
const rowsAtFirst = 5_000;
const rowsLeast = 100;
const rowsMost = 200_000;

/** What is prepared and not confirmed committed: every ack lists it (C1). What is covered is shown piece by piece, oldest first (C2). */
export class Committer {
  readonly #context: CommitContext;
  #list: readonly Committable[];
  #isBusy = false;
  /** In milliseconds. */
  readonly #commitMax: number;
  #rowsMax: number;
  /** Checkpoints that were seen complete: at others what is shown must not stop, for they may have been aborted. */
  readonly #complete = new Set<CheckpointId>();

  /** @param reserve in milliseconds, the part of the session's time that is kept for handing over */
  constructor(context: CommitContext, list: readonly Committable[], reserve: number) {
    this.#context = context;
    this.#list = list;
    this.#commitMax = commitMillisOf(reserve);
    this.#rowsMax = this.#atLeast((rowsAtFirst * this.#commitMax) / commitMillisMost);
  }

  get list(): readonly Committable[] {
    return this.#list;
  }

  /** A commit is under way. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** As many rows as the targets take in some seconds: an epoch should not bring more, else commits fall ever further behind. */
  get rowsMax(): number {
    return this.#rowsMax;
  }

  add(prepared: readonly Committable[]): void {
    this.#list = [...this.#list, ...prepared];
  }

  isCovered(head: Head): boolean {
    return this.#covered(head).length > 0;
  }

  /** Completed checkpoints with output that is not committed (B1). */
  checkpoints(head: Head): number {
    return new Set(this.#covered(head).map((item) => item.checkpointId)).size;
  }

  /** What a commit shows may end at this head's checkpoint (C2). */
  observe(head: Head): void {
    if (head.completed !== null) this.#complete.add(head.completed.checkpointId);
  }

  /** Commits the next piece of what the head's completed checkpoint covers. null: there is none, or a commit is under way. */
  next(head: Head): Promise<void> | null {
    const permit = observeCompletion(head);
    this.observe(head);
    return permit === null || this.#isBusy || !this.isCovered(head) ? null : this.#commit(permit, this.#piece(head));
  }

  async #commit(permit: CommitPermit, piece: readonly Committable[]): Promise<void> {
    const { clock } = this.#context.store;
    this.#isBusy = true;
    const began = clock.now();
    const committed = new Set(await commitCovered(this.#context, permit, piece));
    this.#note(piece, clock.now() - began);
    this.#list = this.#list.filter((item) => !committed.has(item));
    this.#isBusy = false;
  }

  /** The oldest complete checkpoints, as many as are committed in time; one at least. Covered rows of a key fold within a piece (C1). */
  #piece(head: Head): readonly Committable[] {
    const covered = this.#covered(head);
    let piece: readonly Committable[] = [];
    for (const id of [...this.#complete].sort((a, b) => a - b)) {
      const longer = covered.filter((item) => item.checkpointId <= id);
      if (piece.length > 0 && rowsOf(longer) > this.#rowsMax) break;
      piece = longer;
    }
    if (piece.length === 0) return covered;
    for (const id of this.#complete) if (piece.every((item) => item.checkpointId > id)) this.#complete.delete(id);
    return piece;
  }

  #note(piece: readonly Committable[], millis: number): void {
    const rows = rowsOf(piece);
    // Of a few rows in an instant nothing can be told.
    if (rows < rowsLeast && millis < 1_000) return;
    const rate = (rows * this.#commitMax) / Math.max(millis, 1);
    this.#rowsMax = Math.min(this.#atLeast(rate), rowsMost);
  }

  /** However slow the targets are: less would make epochs of a few rows. */
  #atLeast(rows: number): number {
    return Math.round(Math.max(rows, (rowsLeast * this.#commitMax) / commitMillisMost, 1));
  }

  #covered(head: Head): readonly Committable[] {
    const permit = observeCompletion(head);
    return permit === null || this.#list.length === 0 ? [] : coveredBy(permit, this.#list);
  }
}

/** Of what is written row by row. */
const rowsOf = (items: readonly Committable[]): number =>
  items.reduce((sum, item) => sum + (item.kind === "two-phase" ? 0 : item.records), 0);

/** What a sink has staged, of a list. */
export const stagedOf = (list: readonly Committable[], sink: string): readonly Json[] =>
  list.flatMap((item) => (item.kind === "two-phase" && item.sink === sink ? [item.prepared] : []));
