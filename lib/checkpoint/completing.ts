import type { Pending } from "../model/checkpoints.js";
import { invariant, type StreamError } from "../model/errors.js";
import type { GenerationRecord } from "../model/head.js";
import type { ShardTable } from "../model/shards.js";
import type { LogShard } from "../ports/log.js";
import type { Coordinator } from "./coordinator.js";
import type { Facts } from "./facts.js";
import { foldManifest, gatherAcks, shardsBefore } from "./fold.js";
import { idleAfter } from "./idle.js";
import { failureOf } from "./limits.js";
import { repeat } from "./repeat.js";
import { writeSavepointMark } from "./savepoint-marks.js";
import { needsListing, unfollowed } from "./shard-table.js";
import { writeManifest, writeMarker } from "./store.js";
import { describeStream, lossAfterEnd } from "./streams.js";
import * as transitions from "./transitions.js";
import { tryHead } from "./try-head.js";

/** B4, R1: fold, write, move the head, mark. */
export async function complete(coordinator: Coordinator, facts: Facts, pending: Pending): Promise<void> {
  const { store, memory, tell } = coordinator;
  invariant(facts.head !== null && facts.record !== null, "R1: complete without a head");
  const { version, value: head } = facts.head;
  const acks = gatherAcks(facts.record, facts.acks, facts.completed, facts.leases);
  invariant(acks !== null, "B4: complete without all acks");
  const previous =
    head.completed === null || facts.completed === null ? null : { ref: head.completed, manifest: facts.completed };
  const listed = await listShards(coordinator, facts.record, facts, acks);
  const manifest = foldManifest({
    record: facts.record,
    recordHash: head.generationRecord,
    pending,
    acks,
    previous,
    listed,
  });
  const ref = await writeManifest(store, manifest);
  const idleSince = idleAfter(head.idleSince ?? null, facts.completed, acks);
  const next = transitions.complete(head, ref, facts.now, idleSince);
  invariant(next !== null, "R1: the facts were decided on, so its condition holds in them");
  if (previous !== null && memory.markedSha256 !== previous.ref.sha256) {
    await writeMarker(store, head.incarnation, previous.ref);
  }
  if (pending.savepoint !== null) await writeSavepointMark(store, head.incarnation, ref, pending.savepoint.name);
  if (!(await tryHead(store, version, next))) return;
  tell({ kind: "completed", at: facts.now, pending, manifest });
  memory.facts.completed = { hash: ref.sha256, manifest };
  await writeMarker(store, head.incarnation, ref);
  memory.markedSha256 = ref.sha256;
  const loss = await lossOfChildren(coordinator, manifest.shards);
  if (loss === null) return;
  const failure = { ...failureOf(next, loss.message, facts.now), kind: loss.kind };
  await tryHead(store, version + 1, transitions.fail(next, failure, facts.now));
}

/** P1: children that do not come in, because they are past the retention themselves, would be waited for without end. */
async function lossOfChildren(coordinator: Coordinator, shards: ShardTable): Promise<StreamError | null> {
  for (const [name, source] of coordinator.plan.sources) {
    const known = shards[name];
    if (known === undefined || unfollowed(known).length === 0) continue;
    const loss = lossAfterEnd(known, await describeStream(coordinator, name, source));
    if (loss !== null) return loss;
  }
  return null;
}

async function listShards(
  coordinator: Coordinator,
  record: GenerationRecord,
  facts: Facts,
  acks: Parameters<typeof needsListing>[1],
): Promise<Readonly<Record<string, readonly LogShard[]>>> {
  const listed: Record<string, readonly LogShard[]> = {};
  const table = shardsBefore(record, facts.completed);
  for (const [name, source] of coordinator.plan.sources) {
    const before = table[name];
    if (before === undefined || !needsListing(before, acks, name)) continue;
    const stream = coordinator.bindStream(source.config.stream);
    listed[name] = await repeat(coordinator.store.clock, () => coordinator.log.shards(stream));
  }
  return listed;
}
