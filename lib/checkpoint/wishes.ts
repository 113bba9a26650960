import type { CheckpointRef } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import { type Code, type Desired, type Failure, type Head, rejectedKind } from "../model/head.js";
import type { Sha256 } from "../model/ids.js";
import type { SinkModes } from "../pipeline/sink-modes.js";
import { removeSavepointMarks } from "./savepoint-marks.js";
import { isAnswered } from "./savepoints.js";
import { type CheckpointStore, readDesired, readHead, swapDesired } from "./store.js";
import { deleteSavepoint } from "./transitions.js";
import { tryHead } from "./try-head.js";

const attemptsMax = 10;

/**
 * A person starts the pipeline: R4, it opens a generation at once and waits for no deadline.
 *
 * @param id of the request, drawn by the caller: the generation that fulfils it names it
 */
export const wishRunning = (
  store: CheckpointStore,
  code: { readonly functionVersion: string; readonly fingerprint: Sha256 },
  id: string,
): Promise<Desired> => wishRunningFrom(store, code, { id, from: null, dropped: [] });

/** As {@link wishRunning}, from a checkpoint. The request may be one that somebody made before, and nobody has carried out. */
export function wishRunningFrom(
  store: CheckpointStore,
  code: { readonly functionVersion: string; readonly fingerprint: Sha256 },
  start: Start,
): Promise<Desired> {
  return changeDesired(store, (before) => {
    // Ours, of which no answer came. Made again after a stop it would be running by wish alone: its generation has been (R5).
    if (before?.request?.id === start.id && before.code.functionVersion === code.functionVersion) return before;
    return {
      format: 1,
      state: "running",
      code: { ...code, deployment: deploymentAfter(before, code.functionVersion) },
      deployedAt: null,
      rejected: before?.rejected ?? [],
      rejection: before?.rejection ?? null,
      request: requestOf(start),
      savepoint: before?.savepoint ?? null,
    };
  });
}

/** A version of the code, and its number among all that were deployed. */
export interface Deployed extends Code {
  readonly deployment: number;
}

/**
 * P4: this code is to run where what was deployed before runs. The deployment only grows, so that an old supervisor never wins: one that
 * is not newer changes nothing. What is stopped stays so; what never ran is started.
 */
export function wishDeployed(store: CheckpointStore, code: Deployed): Promise<Desired> {
  const deployedAt = store.clock.now();
  const request = { id: `deployment ${code.deployment}`, kind: "restart", from: null, sinks: {}, dropped: [] } as const;
  const first = { format: 1, state: "running", rejected: [], rejection: null, request, savepoint: null } as const;
  return changeDesired<Desired>(store, (before) => {
    if (before === null) return { ...first, code, deployedAt };
    if (!isNewer(code, before)) return before;
    const asked = before.request === null ? null : requestOf(before.request);
    return { ...before, code, deployedAt, rejection: null, request: asked };
  });
}

export const isNewer = (code: Deployed, desired: Desired | null): boolean =>
  desired === null || code.deployment > desired.code.deployment;

/** So many are listed. */
const rejectedMax = 20;

/** P4: a deployment is taken back, and what ran before it is desired again: once, whoever finds it. */
export async function rejectDeployment(
  store: CheckpointStore,
  rejected: Deployed,
  back: Code,
  failure: Failure,
): Promise<void> {
  await changeDesired(store, (before) => {
    if (before === null) return before;
    // Another one has come, or a person has started something else.
    const isCurrent = before.code.functionVersion === rejected.functionVersion || isNewer(rejected, before);
    if (!isCurrent) return before;
    const { functionVersion, fingerprint } = back;
    const deployment = Math.max(rejected.deployment, before.code.deployment);
    // It may be desired again, where a later deployment was taken back to what ran then.
    const isListed = before.rejected.includes(rejected.deployment);
    const all = isListed ? before.rejected : [...before.rejected, rejected.deployment].slice(-rejectedMax);
    const code = { deployment, functionVersion, fingerprint };
    return { ...before, code, deployedAt: null, rejected: all, rejection: { ...failure, kind: rejectedKind } };
  });
}

/**
 * P4: a request that brought code of its own, and cannot be carried out, is taken back with it: what ran before goes on, by its own
 * code (R2). Where somebody has asked for something else by now nothing changes.
 *
 * @param state of what ran
 */
export async function takeBackRequest(
  store: CheckpointStore,
  requestId: string,
  back: Code & { readonly state: Desired["state"] },
  failure: Failure,
): Promise<void> {
  const { functionVersion, fingerprint, state } = back;
  await changeDesired(store, (before) => {
    if (before === null || before.request?.id !== requestId) return before;
    const code = { deployment: before.code.deployment, functionVersion, fingerprint };
    return { ...before, state, code, request: null, rejection: { ...failure, kind: rejectedKind } };
  });
}

/** A start of the code that is deployed. */
export interface Start {
  /** Of the request, drawn by the caller: the generation that fulfils it names it. */
  readonly id: string;
  /** Null: the last complete checkpoint. Another one is checked at the opening, which it may be refused for (G3, P1, P2). */
  readonly from: CheckpointRef | null;
  /** P2: operators whose state stays out. */
  readonly dropped: readonly string[];
  /** W2: a checkpoint that is older than the last is replayed from where they are given: they say what becomes of output. */
  readonly sinks?: SinkModes;
  /** P4: of a deployment that was before, where it is to run instead of what is deployed. */
  readonly code?: Code;
}

const requestOf = ({ id, from, dropped, sinks = {} }: Start): NonNullable<Desired["request"]> => ({
  id,
  kind: from === null ? "restart" : "restore",
  from,
  sinks,
  dropped,
});

/** A person starts what was deployed, or starts it again, from a checkpoint or savepoint. Null: no code was ever deployed. */
export function wishStarted(store: CheckpointStore, start: Start): Promise<Desired | null> {
  const deployedAt = store.clock.now();
  return changeDesired(store, (before) => {
    if (before === null || before.request?.id === start.id) return before;
    // The number stays, so that the supervisor that has it does not ask for its own code again.
    const { deployment } = before.code;
    const code = start.code === undefined ? {} : { code: { ...start.code, deployment }, deployedAt };
    // Of a request that nobody has carried out yet, the code stays its own.
    const isOwn = start.code !== undefined || before.request?.ownCode === true;
    const request = { ...requestOf(start), ...(isOwn ? { ownCode: true as const } : {}) };
    return { ...before, ...code, state: "running", request };
  });
}

/** The name of a checkpoint that is kept until it is deleted, and the id of the request for it, drawn by the caller. */
export interface SavepointWish {
  readonly id: string;
  readonly name: string;
}

/**
 * The pipeline stops at a checkpoint. Nothing is to stop where it never ran.
 *
 * @param savepoint what that checkpoint is kept as; null: it is one like any other
 * @throws StreamError `invalid` as {@link wishSavepoint}
 */
export async function wishStopped(
  store: CheckpointStore,
  savepoint: SavepointWish | null = null,
): Promise<Desired | null> {
  if (savepoint !== null) checkSavepointName(savepoint.name);
  const head = savepoint === null ? null : ((await readHead(store))?.value ?? null);
  return changeDesired(store, (before) => {
    if (before === null) return null;
    const asked = savepoint === null ? before : asking(store, before, head, savepoint);
    return { ...asked, state: "stopped" };
  });
}

/**
 * One more complete checkpoint, under a name, kept until it is deleted; of a pipeline that rests its last one. Asked for again by the
 * same name before it is there, it is the same one: what is returned has its id. Null where the pipeline never ran.
 *
 * @throws StreamError `invalid`: no name for one; the name is taken; another one is asked for and not there yet
 */
export async function wishSavepoint(store: CheckpointStore, savepoint: SavepointWish): Promise<Desired | null> {
  checkSavepointName(savepoint.name);
  const head = (await readHead(store))?.value ?? null;
  return changeDesired(store, (before) => (before === null ? null : asking(store, before, head, savepoint)));
}

function asking(store: CheckpointStore, before: Desired, head: Head | null, wish: SavepointWish): Desired {
  const open = before.savepoint ?? null;
  if (open !== null && (open.id === wish.id || (open.name === wish.name && !isMade(head, open.id)))) return before;
  const taken = head?.savepoints.find(({ name }) => name === wish.name);
  if (taken !== undefined)
    throw refused(
      store,
      `there is a savepoint "${wish.name}" already, checkpoint ${taken.checkpointId}; give this one another name, or delete that one`,
    );
  if (open !== null && !isMade(head, open.id))
    throw refused(
      store,
      `the savepoint "${open.name}" is asked for and not there yet; wait for it, or take it back with "tidemark delete"`,
    );
  return { ...before, savepoint: { id: wish.id, name: wish.name } };
}

const isMade = (head: Head | null, id: string): boolean => head !== null && isAnswered(head, id);

const refused = (store: CheckpointStore, why: string): StreamError =>
  new StreamError("invalid", `pipeline "${store.pipeline}": ${why}`);

const savepointName = /^(?!\d+$|latest$)[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** A name that is told from the id of a checkpoint. @throws StreamError `invalid` */
export function checkSavepointName(name: string): void {
  if (savepointName.test(name)) return;
  throw new StreamError(
    "invalid",
    `"${name}" is no name for a savepoint: write 1 to 64 letters, digits, ".", "_" and "-", a letter or digit first, and not digits alone, such as "before-2026-06"`,
  );
}

/**
 * Deletes a savepoint by its name, or takes back one that is asked for and not there yet. What it alone kept is collected (G1).
 *
 * @returns false where there is none of that name
 */
export async function removeSavepoint(store: CheckpointStore, name: string): Promise<boolean> {
  const wasAsked = await takeBack(store, name);
  for (let attempt = 1, found = wasAsked; attempt <= attemptsMax; attempt++) {
    const head = await readHead(store);
    // R7: first, so that a head that is lost now brings back nothing that somebody wanted gone.
    if (head !== null) await removeSavepointMarks(store, head.value.incarnation, name);
    const next = head === null ? null : deleteSavepoint(head.value, name);
    if (head === null || next === null || next === head.value) return found;
    found = true;
    // Read again all the same: an answer may be lost, and the item says (R5).
    await tryHead(store, head.version, next);
  }
  throw new StreamError(
    "transient",
    `pipeline "${store.pipeline}": savepoint "${name}" could not be deleted in ${attemptsMax} attempts; try again`,
  );
}

async function takeBack(store: CheckpointStore, name: string): Promise<boolean> {
  const before = await readDesired(store);
  const open = before?.value.savepoint ?? null;
  if (open === null || open.name !== name) return false;
  const head = (await readHead(store))?.value ?? null;
  await changeDesired(store, (now) => (now?.savepoint?.id === open.id ? { ...now, savepoint: null } : now));
  return !isMade(head, open.id);
}

/** P4: only grows, so that an older supervisor never wins. */
function deploymentAfter(before: Desired | null, functionVersion: string): number {
  if (before === null) return 1;
  return before.code.functionVersion === functionVersion ? before.code.deployment : before.code.deployment + 1;
}

/** By compare-and-set. A change that was made although its answer was lost is found, or made again, which is the same (R5). */
async function changeDesired<D extends Desired | null>(
  store: CheckpointStore,
  change: (before: Desired | null) => D,
): Promise<D> {
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const before = await readDesired(store);
    const next = change(before?.value ?? null);
    if (next === null || next === before?.value) return next;
    const swapped = await swapDesired(store, before?.version ?? null, next).catch(lostAnswer);
    if (swapped?.kind === "swapped") return next;
  }
  throw new StreamError(
    "transient",
    `${store.pipeline}: what is desired could not be written in ${attemptsMax} attempts; try again`,
  );
}

function lostAnswer(error: unknown): null {
  if (error instanceof StreamError && (error.kind === "ambiguous" || error.kind === "transient")) return null;
  throw error;
}
