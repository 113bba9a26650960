import type { Manifest, Pending } from "../model/checkpoints.js";
import type { Head } from "../model/head.js";
import type { Generation, Millis } from "../model/ids.js";
import type { CheckpointStore, Versioned } from "./store.js";
import { tryHead } from "./try-head.js";

/** What became of a checkpoint that was triggered. */
export type CheckpointEvent =
  | { readonly kind: "completed"; readonly at: Millis; readonly pending: Pending; readonly manifest: Manifest }
  | { readonly kind: "failed"; readonly at: Millis; readonly pending: Pending; readonly generation: Generation };

/** Told by the one who moved the head, so once at most: not at all where its answer was lost (R5). Figures alone rest on it. */
export type TellCheckpoint = (event: CheckpointEvent) => void;

/** As {@link tryHead}, for a move that completes nothing: what was pending before it and is not after it has failed (B5, R2). */
export async function moveHead(
  { store, tell }: { readonly store: CheckpointStore; readonly tell: TellCheckpoint },
  before: Versioned<Head> | null,
  next: Head,
): Promise<boolean> {
  const isMoved = await tryHead(store, before?.version ?? null, next);
  if (!isMoved || before === null || before.value.pending === null || next.pending !== null) return isMoved;
  const { pending, generation } = before.value;
  tell({ kind: "failed", at: store.clock.now(), pending, generation });
  return isMoved;
}
