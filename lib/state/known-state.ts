import { StreamError } from "../model/errors.js";
import type { KeyType, SnapshotFile, SnapshotRef, StoredShape } from "../model/snapshots.js";
import { missingStep } from "../pipeline/migrations.js";
import { hasState, type Plan, statesOf } from "../pipeline/plan.js";
import type { StateTable } from "./table.js";

// P2 by the index of snapshots alone, so that it can be asked before a generation is opened.

/** What a plan, or a table, says of an operator's state. */
export type KnownState = Pick<StateTable, "operator" | "stateVersion" | "columns" | "migrations">;

/** The state of a plan's operators. */
export const knownStates = (plan: Plan): readonly KnownState[] =>
  plan.graph.nodes.filter(hasState).map((node) => ({
    operator: node.name,
    stateVersion: node.version,
    columns: Object.entries(statesOf(node)).map(([name, { kind }]) => ({ name, kind })),
    migrations: plan.migrations.get(node.name) ?? new Map(),
  }));

/** Oldest first. */
export const filesOf = (ref: SnapshotRef): readonly SnapshotFile[] =>
  ref.base === null ? ref.deltas : [ref.base, ...ref.deltas];

/**
 * @throws StreamError `invalid`, naming the operator: nothing declares its state; its version is another one, and no migration leads from
 *   there; a state of it is gone, or of another kind
 */
export function checkOperators(known: readonly KnownState[], ref: SnapshotRef, leaveOut: readonly string[] = []): void {
  const byName = new Map(known.map((one) => [one.operator, one]));
  for (const { slices, operators } of filesOf(ref)) {
    for (const { operator, stateVersion } of slices) {
      if (leaveOut.includes(operator)) continue;
      const state = byName.get(operator);
      if (state === undefined) {
        const remedy = `put the operator back under that name, leave its state out with --allow-dropped ${operator}, or start under another pipeline name`;
        throw refused(`state of operator "${operator}", which the plan has not; ${remedy}`);
      }
      checkVersion(state, stateVersion);
      if (stateVersion === state.stateVersion) checkShape(state, operators?.[operator]);
    }
  }
}

const refused = (what: string): StreamError => new StreamError("invalid", `the checkpoint holds ${what}`);

function checkVersion({ operator, stateVersion, migrations }: KnownState, found: number): void {
  if (found === stateVersion) return;
  const versions = `state of operator "${operator}" in version ${found}, while the plan declares version ${stateVersion}`;
  if (found > stateVersion)
    throw refused(`${versions}; run the code that declares version ${found}, or give the operator another name`);
  const missing = missingStep(migrations, stateVersion, found);
  if (missing === null) return;
  throw refused(
    `${versions}, and migrate has no step from version ${missing} to ${missing + 1}; add migrate: { ${missing}: (old) => … } to the operator, leave its state out with --allow-dropped ${operator}, or give it another name`,
  );
}

/**
 * Nothing is known of what an older version of the library wrote: the restore itself then finds it.
 *
 * @throws StreamError `invalid`, naming what has changed: a state that is not declared any more, or is of another kind
 */
export function checkShape(
  { operator, columns, stateVersion }: Omit<KnownState, "migrations">,
  shape: StoredShape | undefined,
): void {
  const kinds = new Map(columns.map(({ name, kind }) => [name, kind]));
  const changes = Object.entries(shape?.states ?? {}).flatMap(([name, kind]) => {
    const now = kinds.get(name);
    if (now === kind) return [];
    return [
      `"${name}" is a ${kind} in the checkpoint and ${now === undefined ? "not declared" : `a ${now}`} in the plan`,
    ];
  });
  if (changes.length === 0) return;
  throw new StreamError(
    "invalid",
    `the state of operator "${operator}" has changed in form, but not in version: ${changes.join(", ")}; raise the version to ${stateVersion + 1} and add migrate: { ${stateVersion}: (old) => … }, give what is new another name, or leave the operator's state out with --allow-dropped ${operator}`,
  );
}

/** The types of the keys that an operator has state by in these snapshots; null: it has none there, or that is not known. */
export function keyTypesIn(refs: readonly SnapshotRef[], operator: string): readonly KeyType[] | null {
  const files = refs.flatMap(filesOf).filter(({ slices }) => slices.some((slice) => slice.operator === operator));
  const shapes = files.map(({ operators }) => operators?.[operator]);
  if (shapes.length === 0 || shapes.includes(undefined)) return null;
  return [...new Set(shapes.flatMap((shape) => shape?.keys ?? []))].sort();
}
