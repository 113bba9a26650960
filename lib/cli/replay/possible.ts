import { type CheckpointSummary, findCheckpoint, listCheckpoints } from "../../checkpoint/history.js";
import type { OpeningContext } from "../../checkpoint/opening.js";
import { checkRestore, type RestoreCheck } from "../../checkpoint/opening-check.js";
import type { CheckpointStore } from "../../checkpoint/store.js";
import type { CheckpointRef } from "../../model/checkpoints.js";
import { StreamError } from "../../model/errors.js";
import type { Head } from "../../model/head.js";

/**
 * G3, P1, P2, C2: as the opening would find it, with this code; said here, since a supervisor can say it in its log alone.
 *
 * @returns what is so, and need not be what somebody wants
 * @throws StreamError `invalid`: with each reason, and where the records are past their retention with the oldest checkpoint that can be
 */
export const checkPossible = (
  context: OpeningContext,
  head: Head,
  origin: CheckpointRef,
  dropped: readonly string[],
): Promise<readonly string[]> =>
  checkPossibleBy((of) => checkRestore(context, head, of, dropped), context.store, head, origin);

/** As {@link checkPossible}, by whoever can tell. */
export async function checkPossibleBy(
  check: (of: CheckpointRef) => Promise<RestoreCheck>,
  store: CheckpointStore,
  head: Head,
  origin: CheckpointRef,
): Promise<readonly string[]> {
  const { problems, notes } = await check(origin);
  if (problems.length === 0) return notes;
  const all = await listCheckpoints(store, head);
  const isPast = problems.some((one) => one.includes("(P1)"));
  const oldest = isPast ? await oldestPossible(store, head, all, check) : null;
  const advice =
    oldest === null
      ? `Checkpoints that are kept: ${all.map(({ id }) => id).join(", ")}`
      : `The oldest checkpoint that is still possible is ${oldest}`;
  throw new StreamError(
    "invalid",
    `pipeline "${store.pipeline}" cannot go on from checkpoint ${origin.checkpointId}:\n${problems.map((one) => `  ${one}`).join("\n")}\nNothing was changed. ${advice}`,
  );
}

async function oldestPossible(
  store: CheckpointStore,
  head: Head,
  all: readonly CheckpointSummary[],
  check: (of: CheckpointRef) => Promise<RestoreCheck>,
): Promise<number | null> {
  // The oldest are the likeliest to be past: from there on, one after the other.
  for (const { id } of all.toReversed()) {
    const ref = await findCheckpoint(store, head, id);
    if (ref !== null && (await check(ref)).problems.length === 0) return id;
  }
  return null;
}
