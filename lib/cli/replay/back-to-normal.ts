import { readerOf, readRestorable } from "../../checkpoint/history.js";
import { closedRanges } from "../../checkpoint/inherit.js";
import { readGenerationRecord, readManifest } from "../../checkpoint/store.js";
import type { CheckpointRef, Manifest } from "../../model/checkpoints.js";
import { StreamError } from "../../model/errors.js";
import type { Head } from "../../model/head.js";
import type { ShardEntry } from "../../model/shards.js";
import { modeOf, type SinkModes, whyNot } from "../../pipeline/sink-modes.js";
import type { OpenedStore } from "../checkpoints.js";

/** What is asked of a pipeline's sinks, from a checkpoint on. */
interface Asked {
  readonly from: CheckpointRef;
  readonly modes: SinkModes;
}

type Opened = Pick<OpenedStore, "store" | "plan" | "isAlone">;

/**
 * W2: a redirect or a dry run ends where its sinks write to their own targets again. A sink that cannot overwrite may do so from a
 * checkpoint behind which none of its output was shown there: in whichever line, for another one may have read further.
 *
 * @throws StreamError `invalid`, naming the sinks that would have rows twice
 */
export async function checkNormal(opened: Opened, head: Head, { from, modes }: Asked): Promise<void> {
  const { store, plan } = opened;
  const back = [...plan.sinks].flatMap(([name, sink]) =>
    modes[name]?.kind === "normal" && whyNot(sink, "overwrite") !== null ? [name] : [],
  );
  if (back.length === 0) return;
  const where = `pipeline "${store.pipeline}": normal output of ${listed(back)}`;
  const now = await writtenIn(opened, head, head, back);
  if (isWriting(opened, head) && now.length > 0)
    throw new StreamError(
      "invalid",
      `${where} is shown by what runs, which goes on until the replay begins, and would be there twice; stop the pipeline first (W2)`,
    );
  if (from.checkpointId < head.floor)
    throw new StreamError(
      "invalid",
      `${where} may have been shown after checkpoint ${from.checkpointId}: those behind it are not kept any more, so that nobody can tell; go back to a newer one, or choose a redirect or a dry run (W2)`,
    );
  const repeated = await writtenBehind(opened, head, from, back);
  if (repeated.length === 0) return;
  throw new StreamError(
    "invalid",
    `pipeline "${store.pipeline}": normal output of ${listed(repeated)} was shown after checkpoint ${from.checkpointId}, and would be there twice; go back to the last checkpoint before the redirect or dry run, or choose one of these (W2)`,
  );
}

const listed = (sinks: readonly string[]): string => sinks.map((sink) => `"${sink}"`).join(", ");

/** Whether output may be shown before what is asked for begins. */
export const isWriting = ({ isAlone }: Pick<OpenedStore, "isAlone">, { status }: Head): boolean =>
  !isAlone && status !== "stopped" && status !== "finished" && status !== "failed";

type Of = Pick<Manifest, "generation" | "generationRecord">;

/** Those of the sinks that a generation writes to their own targets. */
async function writtenIn(
  { store }: Opened,
  { incarnation }: Head,
  { generation, generationRecord }: Of,
  sinks: readonly string[],
): Promise<readonly string[]> {
  const record = await readGenerationRecord(store, { incarnation, generation, generationRecord });
  return sinks.filter((name) => ["normal", "overwrite"].includes(modeOf(record.sinks, name).kind));
}

/** By the checkpoints that are kept: of one that was collected nothing is known. */
async function writtenBehind(
  opened: Opened,
  head: Head,
  from: CheckpointRef,
  sinks: readonly string[],
): Promise<readonly string[]> {
  const { store } = opened;
  const origin = await readManifest(store, head.incarnation, from);
  const all = await readRestorable(readerOf(store, head), head);
  const line = lineOf(new Map(all.map(({ ref, manifest }) => [ref.sha256, manifest])), from, origin);
  const found = new Map<string, readonly string[]>();
  for (const { ref, manifest } of all) {
    if (manifest.written !== undefined || line.has(ref.sha256) || isAhead(origin, manifest, head)) continue;
    const { generationRecord } = manifest;
    found.set(generationRecord, found.get(generationRecord) ?? (await writtenIn(opened, head, manifest, sinks)));
  }
  return sinks.filter((name) => [...found.values()].some((names) => names.includes(name)));
}

/** A checkpoint and those that it goes on from: what these have shown lies before it. */
function lineOf(kept: ReadonlyMap<string, Manifest>, from: CheckpointRef, origin: Manifest): ReadonlySet<string> {
  const line = new Set<string>([from.sha256]);
  for (let ref = origin.previous; ref !== null; ref = kept.get(ref.sha256)?.previous ?? null) line.add(ref.sha256);
  return line;
}

/**
 * Whether a checkpoint has taken all that another one has. Records on their way lie before its positions, and were shown by the other one.
 * One below the floor can only be a savepoint: of its own line, as a rule, whose shards may have left the table since (K3).
 */
function isAhead(origin: Manifest, other: Manifest, { floor }: Head): boolean {
  const isOld = other.checkpointId < floor;
  if (!isOld && closedRanges(origin).length > 0) return false;
  return Object.entries(other.shards).every(([source, { shards }]) => {
    const own = new Map(origin.shards[source]?.shards.map((entry) => [entry.shardId, entry.at]));
    return shards.every(({ shardId, at }) => {
      const here = own.get(shardId);
      return here === undefined ? isOld || isUnread(at) : isUnread(at) || isPast(here, at);
    });
  });
}

type At = ShardEntry["at"];

const isUnread = (at: At): boolean => at.kind === "open" && at.position.kind !== "after";

function isPast(own: At, other: At): boolean {
  if (own.kind === "finished") return true;
  if (other.kind === "finished" || own.position.kind !== "after" || other.position.kind !== "after") return false;
  const [mine, theirs] = [own.position, other.position];
  const [here, there] = [BigInt(mine.sequenceNumber), BigInt(theirs.sequenceNumber)];
  if (here !== there) return here > there;
  return mine.sub === null || (theirs.sub !== null && mine.sub >= theirs.sub);
}
