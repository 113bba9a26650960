import type { Pending } from "../model/checkpoints.js";
import type { Desired, Head } from "../model/head.js";
import type { Decision } from "./decide.js";
import type { Facts } from "./facts.js";
import { writeSavepointMark } from "./savepoint-marks.js";
import { type CheckpointStore, readDesired, readHead, type Versioned } from "./store.js";
import { nameSavepoint, refuseSavepoint } from "./transitions.js";
import { tryHead } from "./try-head.js";

/** So often a checkpoint that was to be a savepoint is aborted before the request is given up. */
export const savepointAttempts = 5;

type Wanted = NonNullable<Pending["savepoint"]>;

/** What the next checkpoint is to be; null where nobody asks, or it is answered: a request makes one savepoint (R5). */
export function wantedSavepoint(desired: Desired | null, head: Head): Wanted | null {
  const wish = desired?.savepoint ?? null;
  if (wish === null || isAnswered(head, wish.id)) return null;
  return { name: wish.name, requestId: wish.id };
}

export const isAnswered = (head: Pick<Head, "asked">, requestId: string): boolean =>
  head.asked?.requestId === requestId && head.asked.ended !== null;

/** What can be said of a savepoint without a checkpoint: that it cannot be, or that a pipeline that rests has made it already. */
export function decideSavepoint({ desired }: Pick<Facts, "desired">, head: Head): Decision | null {
  const wanted = wantedSavepoint(desired, head);
  // One that is under way is what it was triggered as.
  if (wanted === null || head.pending?.savepoint?.requestId === wanted.requestId) return null;
  const why = whyNot(wanted, head);
  if (why !== null) return { kind: "refuse-savepoint", requestId: wanted.requestId, message: why };
  return head.endedAt !== null && head.completed !== null ? { kind: "savepoint", savepoint: wanted } : null;
}

function whyNot({ name, requestId }: Wanted, head: Head): string | null {
  const taken = head.savepoints.find((one) => one.name === name);
  if (taken !== undefined)
    return `there is a savepoint "${name}" already, checkpoint ${taken.checkpointId}; give this one another name, or delete that one`;
  if (head.endedAt !== null && head.completed === null)
    return `the pipeline is ${head.status} and has no complete checkpoint that could be a savepoint`;
  const aborts = head.asked?.requestId === requestId ? head.asked.aborts : 0;
  return aborts < savepointAttempts
    ? null
    : `${aborts} checkpoints that were to be it were aborted after their time-out; lengthen checkpoint.timeout, or see what is slow, and ask again`;
}

/** R1, R7: the last checkpoint of a pipeline that rests gets a name, in the bucket first. */
export async function nameLast(store: CheckpointStore, head: Versioned<Head>, savepoint: Wanted): Promise<boolean> {
  const { version, value } = head;
  const next = nameSavepoint(value, savepoint);
  if (value.completed !== null) await writeSavepointMark(store, value.incarnation, value.completed, savepoint.name);
  return tryHead(store, version, next);
}

/** What a coordinator does with the request of a pipeline that rests, for who does not want to wait for one. */
export async function answerSavepoint(store: CheckpointStore): Promise<void> {
  const desired = (await readDesired(store))?.value ?? null;
  const head = await readHead(store);
  const decision = head === null ? null : decideSavepoint({ desired }, head.value);
  if (head === null || decision === null) return;
  if (decision.kind === "savepoint") await nameLast(store, head, decision.savepoint);
  if (decision.kind === "refuse-savepoint")
    await tryHead(store, head.version, refuseSavepoint(head.value, decision.requestId, decision.message));
}
