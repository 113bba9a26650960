import type { Ack, KeyGroups, Manifest, Range } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import { taskParts } from "../model/ids.js";
import { intersection, keyGroupsOf } from "../model/key-ranges.js";
import type { SnapshotRef } from "../model/snapshots.js";

// E3, E4, C2, K2: every restore is a rescale. What a checkpoint holds is addressed by operator and key group, never by task: so each
// task of a new generation finds by itself what is its own, whatever stages and tasks the checkpoint was made with.

/** A task of a new generation. */
export interface Heir {
  readonly stage: number;
  readonly index: number;
  /** Of its stage. */
  readonly tasks: number;
  /** Those with state, which name the edges that feed them too. */
  readonly operators: readonly string[];
  /** The sinks for which its stage is the first that runs them: it takes their committables (C2). */
  readonly sinks: readonly string[];
  /** In its generation. */
  readonly stages: number;
}

export interface InheritedSnapshot {
  readonly ref: SnapshotRef;
  /** The part of the old task's key groups that is the heir's: no more of it may be read. */
  readonly keyGroups: KeyGroups;
  /** It is all that the heir inherits, and nothing else is in it: deltas may be added to it. Else the next snapshot is a base. */
  readonly isWhole: boolean;
}

export interface Inheritance {
  /** Disjoint in what the heir reads of them. */
  readonly snapshots: readonly InheritedSnapshot[];
  /** All closed, none empty, ascending by generation: frames of a generation are taken only when those before are (E2). */
  readonly ranges: readonly Range[];
  /** Whose committables, and rows counted in a dry run, the heir takes, as far as they are of its sinks. */
  readonly lists: readonly Ack[];
  /** Whose counts of records the heir goes on from. */
  readonly figures: readonly Ack[];
}

/**
 * What a task takes over from a complete checkpoint. All heirs of a generation together take everything once.
 *
 * @throws StreamError `corrupt`: a range names a producer that the checkpoint does not have
 */
export function inherit(manifest: Manifest, heir: Heir): Inheritance {
  const own = keyGroupsOf(heir.index, heir.tasks);
  const isFirstOwned = (ack: Ack) => intersection([ack.keyGroups[0], ack.keyGroups[0]], own) !== null;
  return {
    snapshots: inheritSnapshots(manifest, heir.operators, own),
    ranges: inheritRanges(manifest, heir.operators, own),
    lists: heir.sinks.length === 0 ? [] : manifest.tasks.filter(isFirstOwned),
    figures: manifest.tasks.filter(
      (ack) => Math.min(taskParts(ack.task).stage, heir.stages - 1) === heir.stage && isFirstOwned(ack),
    ),
  };
}

function inheritSnapshots(
  manifest: Manifest,
  operators: readonly string[],
  own: KeyGroups,
): readonly InheritedSnapshot[] {
  const found = manifest.tasks.flatMap(({ snapshot, keyGroups }) => {
    const shared = intersection(keyGroups, own);
    return shared === null || !holdsAny(snapshot, operators, shared)
      ? []
      : [{ ref: snapshot, keyGroups: shared, isWhole: isSame(keyGroups, own) && holdsOnly(snapshot, operators) }];
  });
  // A delta names one chain of files: what came from several needs a base of its own.
  return found.length > 1 ? found.map((one) => ({ ...one, isWhole: false })) : found;
}

const slicesOf = (ref: SnapshotRef) =>
  [...(ref.base === null ? [] : [ref.base]), ...ref.deltas].flatMap((f) => f.slices);

const holdsAny = (ref: SnapshotRef, operators: readonly string[], keyGroups: KeyGroups): boolean =>
  slicesOf(ref).some(
    (slice) => operators.includes(slice.operator) && intersection(slice.keyGroups, keyGroups) !== null,
  );

const holdsOnly = (ref: SnapshotRef, operators: readonly string[]): boolean =>
  slicesOf(ref).every(({ operator }) => operators.includes(operator));

const isSame = (a: KeyGroups, b: KeyGroups): boolean => a[0] === b[0] && a[1] === b[1];

function inheritRanges(manifest: Manifest, operators: readonly string[], own: KeyGroups): readonly Range[] {
  const cut = closedRanges(manifest).flatMap((range) => {
    const keyGroups = operators.includes(range.edge) ? intersection(range.keyGroups, own) : null;
    return keyGroups === null ? [] : [{ ...range, keyGroups }];
  });
  return joined(cut.sort(byPlace));
}

/**
 * E3: the frames that a checkpoint leaves to be taken. The open lanes of its own generation end at what their producers had sent
 * at their cut; empty ranges are left out.
 *
 * @throws StreamError `corrupt` as {@link inherit} does
 */
export function closedRanges(manifest: Manifest): readonly (Range & { readonly to: number })[] {
  return manifest.tasks
    .flatMap((ack) => ack.expected)
    .map((range) => ({ ...range, to: range.to ?? sentOn(manifest, range) }))
    .filter((range) => range.from <= range.to);
}

function sentOn(manifest: Manifest, { edge, generation, producer }: Range): number {
  const ack = manifest.tasks[producer];
  if (generation === manifest.generation && ack !== undefined) return ack.sent[edge] ?? 0;
  throw new StreamError(
    "corrupt",
    `pipeline "${manifest.pipeline}", checkpoint ${manifest.checkpointId}: it expects frames without end on the edge "${edge}" from task ${producer} of generation ${generation}, which it is not a checkpoint of (E3)`,
  );
}

const byPlace = (a: Range, b: Range): number =>
  a.generation - b.generation ||
  (a.edge < b.edge ? -1 : a.edge > b.edge ? 1 : 0) ||
  a.producer - b.producer ||
  a.from - b.from ||
  (a.to ?? 0) - (b.to ?? 0) ||
  a.keyGroups[0] - b.keyGroups[0];

/** What several old tasks were to take of the same frames is taken at once. */
function joined(ranges: readonly Range[]): readonly Range[] {
  const all: Range[] = [];
  for (const range of ranges) {
    const last = all.at(-1);
    if (last === undefined || !continues(last, range)) all.push(range);
    else all[all.length - 1] = { ...last, keyGroups: [last.keyGroups[0], range.keyGroups[1]] };
  }
  return all;
}

const continues = (a: Range, b: Range): boolean =>
  byPlace(a, { ...b, keyGroups: a.keyGroups }) === 0 && a.keyGroups[1] + 1 === b.keyGroups[0];
