import type { Ack } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import type { GenerationRecord, Head } from "../model/head.js";
import { type CheckpointId, sessionId, taskParts } from "../model/ids.js";
import type { SnapshotFile, SnapshotRef } from "../model/snapshots.js";
import { hasState, type Plan, statesOf } from "../pipeline/plan.js";
import { continued, deltasMax, noState } from "../state/compaction.js";
import { filesOf } from "../state/known-state.js";
import type { SnapshotKind } from "../state/snapshot-format.js";
import { type ReadRange, restoreInto } from "../state/snapshot-reader.js";
import { encodeSnapshot, type FinishedSnapshot, finishSnapshot } from "../state/snapshot-writer.js";
import { createStateTable, type StateTable } from "../state/table.js";
import { storeBody } from "./bodies.js";
import * as names from "./names.js";
import { repeat } from "./repeat.js";
import type { CheckpointStore } from "./store.js";

// The state of a savepoint that a person writes: snapshot files like any other's, named by an id that no checkpoint has (R6).

export interface WritingPlace {
  readonly head: Pick<Head, "incarnation" | "generation">;
  readonly checkpointId: CheckpointId;
}

/** Empty tables for the operators of a plan. */
export const tablesOf = (plan: Plan): readonly StateTable[] =>
  plan.graph.nodes
    .filter(hasState)
    .map((node) => createStateTable(node.name, node.version, statesOf(node), plan.migrations.get(node.name)));

/** A key of an operator, by its place. */
export interface PlacedKey {
  readonly operator: string;
  readonly keyGroup: number;
}

/**
 * The ack that has the state of a key, or would have it: of those with its key group one that has state of that operator, or else is of
 * the stage that runs it. Whichever it is, a restore finds it (E4).
 */
export function ackFor(
  acks: readonly Ack[],
  stages: GenerationRecord["stages"],
  { operator, keyGroup }: PlacedKey,
): Ack {
  const own = acks.filter(({ keyGroups }) => keyGroups[0] <= keyGroup && keyGroup <= keyGroups[1]);
  const holds = ({ snapshot }: Ack) =>
    filesOf(snapshot).some(({ slices }) => slices.some((slice) => slice.operator === operator));
  const runs = ({ task }: Ack) => stages[taskParts(task).stage]?.operators.includes(operator) === true;
  const found = own.find(holds) ?? own.find(runs) ?? own[0];
  if (found === undefined) throw new StreamError("corrupt", `no task of the checkpoint has key group ${keyGroup} (K2)`);
  return found;
}

/**
 * The ack with the state of one key changed: one more delta, of that key alone. Of large state no more is read than its key group.
 *
 * @param change enters the key in the table of its operator, and writes
 * @throws StreamError `invalid`: the checkpoint has the operator's state in another version than the plan; what `change` throws
 */
export async function withChangedKey(
  store: CheckpointStore,
  plan: Plan,
  ack: Ack,
  { operator, keyGroup }: PlacedKey,
  at: WritingPlace & { readonly change: (table: StateTable) => void; readonly read: ReadRange },
): Promise<Ack> {
  const { snapshot } = ack;
  const isFull = snapshot.deltas.length >= deltasMax;
  const tables = isFull ? tablesOf(plan) : tablesOf(plan).filter((table) => table.operator === operator);
  const table = tables.find((one) => one.operator === operator);
  if (table === undefined)
    throw new StreamError("invalid", `pipeline "${store.pipeline}" has no operator "${operator}" with state`);
  const others = filesOf(snapshot).flatMap(({ slices }) => slices.map((slice) => slice.operator));
  const known = tables.map((one) => one.operator);
  for (const one of tables) checkVersion(one, snapshot);
  const only = isFull ? ack.keyGroups : ([keyGroup, keyGroup] as const);
  await restoreInto(tables, snapshot, only, at.read, isFull ? [] : others.filter((name) => !known.includes(name)));
  at.change(table);
  if (table.dirty === 0) return ack;
  const kind = snapshot.base === null || isFull ? "base" : "delta";
  return withSnapshot(store, ack, { kind, tables }, at);
}

/** A migration is a deploy's: state is edited with the code that wrote it. */
function checkVersion({ operator, stateVersion }: StateTable, snapshot: SnapshotRef): void {
  const slices = filesOf(snapshot).flatMap(({ slices: all }) => all.filter((slice) => slice.operator === operator));
  const other = slices.find((slice) => slice.stateVersion !== stateVersion);
  if (other === undefined) return;
  throw new StreamError(
    "invalid",
    `the checkpoint has state of operator "${operator}" in version ${other.stateVersion}, and this code declares version ${stateVersion}: edit it with the code of that version, or start this code first and make a savepoint`,
  );
}

/** The ack with what the tables hold: as a base of its own, or as one more delta. */
export async function withSnapshot(
  store: CheckpointStore,
  ack: Ack,
  { kind, tables }: { readonly kind: SnapshotKind; readonly tables: readonly StateTable[] },
  at: WritingPlace,
): Promise<Ack> {
  if (kind === "base" && tables.every(({ keys }) => keys === 0)) return { ...ack, snapshot: noState };
  return withFile(store, ack, { kind, file: await finishSnapshot(encodeSnapshot(tables, { kind })) }, at);
}

/** The ack with a snapshot file: as its base, or as one more delta. */
export async function withFile(
  store: CheckpointStore,
  ack: Ack,
  { kind, file: finished }: { readonly kind: SnapshotKind; readonly file: FinishedSnapshot },
  { head, checkpointId }: WritingPlace,
): Promise<Ack> {
  const session = sessionId(Buffer.from(store.clock.random(16)).toString("hex"));
  const { bytes, ...index } = finished;
  const { incarnation, generation } = head;
  const place = { pipeline: store.pipeline, incarnation, generation, checkpointId, task: ack.task };
  const key = names.taskObjectKey(place, `state-${kind}`, session);
  const body = await repeat(store.clock, () => storeBody(store.blobs, key, bytes));
  const file: SnapshotFile = { format: 1, body, session, epoch: checkpointId, ...index };
  const figures = { ...ack.figures, bytes: ack.figures.bytes + bytes.length };
  return { ...ack, snapshot: continued(ack.snapshot, kind, file), figures };
}
