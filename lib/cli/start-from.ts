import { findCheckpoint, listCheckpoints } from "../checkpoint/history.js";
import type { CheckpointRef } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import type { Head } from "../model/head.js";
import type { OpenedStore } from "./checkpoints.js";

/**
 * The checkpoint of that id, of the savepoint of that name, or "latest".
 *
 * @throws StreamError `invalid`, naming those that there are
 */
export async function findNamed({ store }: OpenedStore, head: Head, wanted: string): Promise<CheckpointRef> {
  const savepoint = head.savepoints.find(({ name }) => name === wanted);
  if (savepoint !== undefined) {
    const { generation, checkpointId, sha256 } = savepoint;
    return { generation, checkpointId, sha256 };
  }
  if (wanted === "latest" && head.completed !== null) return head.completed;
  const found = /^\d{1,15}$/.test(wanted) ? await findCheckpoint(store, head, Number(wanted)) : null;
  if (found !== null) return found;
  const ids = (await listCheckpoints(store, head)).map(({ id }) => String(id));
  throw new StreamError(
    "invalid",
    `pipeline "${store.pipeline}" has no checkpoint or savepoint "${wanted}" that can be restored${whyGone(wanted, head.nextCheckpointId)}; checkpoints: ${listed(ids)}; ${savepointsOf(head)}`,
  );
}

/** For messages, of an id that there was once. @param next the first that there never was */
export const whyGone = (wanted: string, next: number): string =>
  /^[1-9]\d{0,14}$/.test(wanted) && Number(wanted) < next ? " (it was not complete, or is kept no longer)" : "";

/** For messages. */
export const savepointsOf = (head: Head): string => `savepoints: ${listed(head.savepoints.map(({ name }) => name))}`;

const shownMax = 20;

/** For messages: a long list is cut. */
export function listed(names: readonly string[]): string {
  if (names.length === 0) return "none";
  return names.length <= shownMax ? names.join(", ") : `${names.slice(0, shownMax).join(", ")} … ${names.at(-1)}`;
}
