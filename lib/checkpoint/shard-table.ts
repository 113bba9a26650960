import type { Ack } from "../model/checkpoints.js";
import { type DedupeState, inheritDedupe } from "../model/dedupe.js";
import { invariant } from "../model/errors.js";
import { millis } from "../model/ids.js";
import { keyGroupAt, ownerOf } from "../model/key-ranges.js";
import type { Position, ShardEntry, ShardTable, SourceTable } from "../model/shards.js";
import { filePath } from "../pipeline/source.js";
import type { LogShard } from "../ports/log.js";

// K3. The table is kept whole in every manifest; what the fold adds or drops depends on the table, the acks and a list of
// shards alone, and an old list is safe: a child that is not listed yet enters with a later checkpoint.

/** The shards that a source begins with: those listed whose parents are gone (P0). Their children enter as K3 says. */
export function firstTable(
  source: Pick<SourceTable, "streamArn" | "createdAt" | "start">,
  listed: readonly LogShard[],
): SourceTable {
  const names = new Set(listed.map((shard) => shard.shardId));
  const roots = listed.filter((shard) => !shard.parents.some((parent) => names.has(parent)));
  const position: Position =
    source.start === "horizon"
      ? { kind: "horizon", readTo: null }
      : { kind: "timestamp", at: source.start, readTo: source.start };
  return { ...source, shards: sorted(roots.map((shard) => ({ ...describe(shard), at: { kind: "open", position } }))) };
}

/** K2: whether task `index` of `tasks` reads the shard: its hash keys begin in the task's range. A file is one shard. */
export const ownsShard = ({ hashKeys }: Pick<ShardEntry, "hashKeys">, index: number, tasks: number): boolean =>
  ownerOf(keyGroupAt(hashKeys[0]), tasks) === index;

/** The table after a checkpoint: positions of the acks, children that may enter, finished entries that may leave. */
export function foldShards(
  table: ShardTable,
  acks: readonly Ack[],
  listed: Readonly<Record<string, readonly LogShard[]>>,
): ShardTable {
  const folded: Record<string, SourceTable> = {};
  for (const [name, source] of Object.entries(table)) {
    const positions = new Map(
      acks.flatMap((ack) => (ack.positions[name] ?? []).map((entry) => [entry.shardId, entry.at] as const)),
    );
    const shards = source.shards.map((entry) => ({ ...entry, at: later(entry, positions.get(entry.shardId)) }));
    const list = listed[name];
    folded[name] = {
      ...source,
      shards: list === undefined ? sorted(shards) : sorted(turnOver(source, shards, list, acks)),
    };
  }
  return folded;
}

/** Only then has a list of shards anything to say. */
export function needsListing(source: SourceTable, acks: readonly Ack[], name: string): boolean {
  const finished = (at: ShardEntry["at"]) => at.kind === "finished";
  return (
    source.shards.some((entry) => finished(entry.at)) ||
    acks.some((ack) => (ack.positions[name] ?? []).some((entry) => finished(entry.at)))
  );
}

/** Shards that were read to their end and whose hash keys no shards that followed them have all taken over. The end of a file is no such end. */
export function unfollowed(source: SourceTable): readonly ShardEntry[] {
  if (filePath(source.streamArn) !== null) return [];
  return source.shards.filter((entry) => entry.at.kind === "finished" && !isFollowed(entry, source.shards));
}

/** Shards whose hash keys overlap came out of each other: all of its hash keys are those of shards in the table that are none of its ancestors. */
function isFollowed(entry: ShardEntry, table: readonly ShardEntry[]): boolean {
  const before = withAncestors(entry, table);
  const [first, last] = entry.hashKeys.map(BigInt) as [bigint, bigint];
  let next = first;
  const others = table
    .filter(({ shardId }) => !before.has(shardId))
    .map(({ hashKeys }) => [BigInt(hashKeys[0]), BigInt(hashKeys[1])] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  for (const [from, to] of others) if (from <= next && to >= next) next = to + 1n;
  return next > last;
}

function withAncestors(entry: ShardEntry, table: readonly ShardEntry[]): ReadonlySet<string> {
  const byName = new Map(table.map((other) => [other.shardId, other]));
  const found = new Set([entry.shardId]);
  for (const name of found) for (const parent of byName.get(name)?.parents ?? []) found.add(parent);
  return found;
}

/** A finished shard stays finished: an ack that does not speak of it, or is older, changes nothing. */
function later(entry: ShardEntry, at: ShardEntry["at"] | undefined): ShardEntry["at"] {
  return at === undefined || entry.at.kind === "finished" ? entry.at : at;
}

function turnOver(
  source: SourceTable,
  shards: readonly ShardEntry[],
  listed: readonly LogShard[],
  acks: readonly Ack[],
): readonly ShardEntry[] {
  const known = new Map(shards.map((entry) => [entry.shardId, entry]));
  const names = new Set(listed.map((shard) => shard.shardId));
  const entering = listed
    .filter((shard) => !known.has(shard.shardId) && mayEnter(shard, known, names, acks))
    .map(
      (shard): ShardEntry => ({
        ...describe(shard),
        at: { kind: "open", position: childStart(source, shard, known), ...inherited(shard, known) },
      }),
    );
  const all = [...shards, ...entering];
  return all.filter((entry) => !mayLeave(entry, all, listed, names));
}

/** K3: at least one of its parents is in the table, each of those is finished and has nothing in flight, and no other parent is listed. */
function mayEnter(
  shard: LogShard,
  known: ReadonlyMap<string, ShardEntry>,
  listed: ReadonlySet<string>,
  acks: readonly Ack[],
): boolean {
  const inTable = shard.parents.filter((parent) => known.has(parent));
  const others = shard.parents.filter((parent) => !known.has(parent));
  return (
    inTable.length > 0 &&
    inTable.every((parent) => known.get(parent)?.at.kind === "finished") &&
    !inTable.some((parent) => isInFlight(known.get(parent)?.at, acks)) &&
    !others.some((parent) => listed.has(parent))
  );
}

/**
 * K3: somebody still expects a frame that the shard's owner had sent by the ack that finished it. A child may be another task's:
 * the frames of another producer, which wait for none of these, so that its records would overtake those in them.
 */
function isInFlight(at: ShardEntry["at"] | undefined, acks: readonly Ack[]): boolean {
  if (at?.kind !== "finished") return false;
  const { generation, producer, sent } = at;
  return acks.some(({ expected }) =>
    expected.some((range) => {
      const last = sent[range.edge] ?? 0;
      const isOfOwner = range.generation === generation && range.producer === producer;
      return isOfOwner && range.from <= Math.min(last, range.to ?? last);
    }),
  );
}

/** P0, P1: at the start of the source or at its own beginning, whichever is later; read to where its earliest parent was. */
function childStart(source: SourceTable, shard: LogShard, known: ReadonlyMap<string, ShardEntry>): Position {
  const readTos = shard.parents.flatMap((parent) => {
    const at = known.get(parent)?.at;
    return at?.kind === "finished" ? [at.readTo] : [];
  });
  invariant(readTos.length > 0, `K3: shard ${shard.shardId} enters without a finished parent`);
  const readTo = millis(Math.min(...readTos));
  if (source.start === "horizon") return { kind: "beginning", readTo };
  return { kind: "timestamp", at: source.start, readTo };
}

/** C6: a repeat lies in the shard of its record, or in one that came out of it. */
function inherited(shard: LogShard, known: ReadonlyMap<string, ShardEntry>): { readonly taken?: DedupeState } {
  const parents = shard.parents.map((parent) => known.get(parent)?.at.taken).filter((taken) => taken !== undefined);
  return parents.length === 0 ? {} : { taken: inheritDedupe(parents) };
}

/**
 * K3: the stream no longer lists it, every listed child is in, and shards of the table have taken over all of its hash keys: of a
 * child that came and went between two lists, P1 must tell. A list that is older than the shard does not
 * have it either: only one with a shard that came out of it says that it is gone. Else it would come back with the next list.
 */
function mayLeave(
  entry: ShardEntry,
  table: readonly ShardEntry[],
  listed: readonly LogShard[],
  names: ReadonlySet<string>,
): boolean {
  if (entry.at.kind !== "finished" || names.has(entry.shardId)) return false;
  const known = new Set(table.map((other) => other.shardId));
  const children = listed.filter((shard) => shard.parents.includes(entry.shardId));
  const childrenIn = children.every((child) => known.has(child.shardId)) && isFollowed(entry, table);
  return childrenIn && hasDescendant(entry, table, listed);
}

/** Whether a shard is listed that came out of this one, by any number of splits and merges. */
function hasDescendant(entry: ShardEntry, table: readonly ShardEntry[], listed: readonly LogShard[]): boolean {
  const out = new Set([entry.shardId]);
  for (let before = 0; before < out.size; ) {
    before = out.size;
    for (const { shardId, parents } of [...table, ...listed]) {
      if (parents.some((parent) => out.has(parent))) out.add(shardId);
    }
  }
  return listed.some(({ shardId }) => shardId !== entry.shardId && out.has(shardId));
}

const describe = (shard: LogShard) => ({
  shardId: shard.shardId,
  parents: [...shard.parents],
  hashKeys: shard.hashKeys,
});

const sorted = (shards: readonly ShardEntry[]): readonly ShardEntry[] =>
  [...shards].sort((a, b) => (a.shardId < b.shardId ? -1 : a.shardId > b.shardId ? 1 : 0));
