import { storedExchange } from "../checkpoint/exchange.js";
import type { Claim } from "../checkpoint/lease.js";
import { repeat } from "../checkpoint/repeat.js";
import { ownsShard } from "../checkpoint/shard-table.js";
import { checkSameStream, describeStream } from "../checkpoint/streams.js";
import { StreamError } from "../model/errors.js";
import type { CheckpointId, Millis } from "../model/ids.js";
import type { ShardEntry } from "../model/shards.js";
import { encodeVersion } from "../model/versions.js";
import { liesWithinOne } from "../pipeline/partitioned.js";
import { modeOf } from "../pipeline/sink-modes.js";
import type { World } from "../ports/world.js";
import { Calls } from "./calls.js";
import { Channels } from "./channels.js";
import { named } from "./commit.js";
import type { Identity } from "./cut.js";
import { coordinatorOf, type Deployment, storeOf } from "./deployment.js";
import type { GuardedWorld } from "./guard.js";
import { Mailbox } from "./mailbox.js";
import { openOutputs } from "./outputs.js";
import type { Part } from "./part.js";
import type { Place } from "./place.js";
import type { RecordView } from "./record-view.js";
import type { Start } from "./restore.js";
import type { SessionEvent } from "./session.js";
import type { SessionParts } from "./session-parts.js";
import { type ReaderOptions, SourceReader } from "./source-reader.js";
import { Task } from "./task.js";

/** Opens what a session works with. @throws StreamError `invalid` where a stream or a sink's target is not what the pipeline says */
export async function openParts(
  deployment: Deployment,
  guarded: GuardedWorld,
  claim: Claim,
  place: Place,
  me: Identity,
  start: Start,
  deadline: Millis,
  writers: SessionParts["writers"],
): Promise<SessionParts> {
  const { plan } = deployment;
  const { sinks: modes } = claim.record;
  const store = storeOf(deployment, guarded.world);
  const channels = new Channels(storedExchange(store), store.clock, place, { ...me, start });
  const mailbox = new Mailbox<SessionEvent>();
  const calls = new Calls(store.clock);
  const versionOf = (epoch: CheckpointId, seq: number) =>
    encodeVersion({ incarnation: me.incarnation, generation: me.generation, epoch, task: me.task, seq });
  const task = new Task(plan, {
    part: partOf(place, channels),
    outputs: openOutputs(plan, writers, { epoch: start.epoch, versionOf, modes, dryRows: start.dryRows }),
    startCall: (call, timeoutMillis) => calls.start(call, timeoutMillis),
    wake: () => mailbox.post({ kind: "ready" }),
  });
  const onBad = (error: StreamError, record: RecordView) => task.refuse(error, record);
  const readers = await openReaders(deployment, guarded.world, claim, place, start, onBad);
  for (const [name, { writer }] of writers) {
    // W2: a dry run needs no target.
    if (modeOf(modes, name).kind !== "dry-run") await named(name, () => repeat(store.clock, () => writer.check()));
  }
  return {
    store,
    guarded,
    coordinator: coordinatorOf(deployment, guarded.world),
    record: claim.record,
    settings: plan.settings,
    deadline,
    place,
    task,
    channels,
    calls,
    mailbox,
    readers,
    writers,
    commit: { store, incarnation: claim.head.incarnation, writers },
    log: deployment.log,
  };
}

const partOf = ({ stage, spared, keyGroups }: Place, { outputs }: Channels): Part => ({
  nodes: new Set(stage.nodes),
  edges: outputs,
  owned: { keyBys: new Set(spared.map(({ keyBy }) => keyBy)), keyGroups },
});

async function openReaders(
  deployment: Deployment,
  world: World,
  claim: Claim,
  place: Place,
  start: Start,
  onBad: NonNullable<ReaderOptions["onBad"]>,
): Promise<ReadonlyMap<string, SourceReader>> {
  const readers = new Map<string, SourceReader>();
  for (const [name, source] of deployment.plan.sources) {
    if (!place.stage.sources.includes(name)) continue;
    // K2: one that is of two tasks waits for a generation with an exchange.
    const isSpared = place.spared.some((one) => one.source === name);
    const owns = (entry: ShardEntry) =>
      ownsShard(entry, place.index, place.tasks) && (!isSpared || liesWithinOne(entry, place.tasks));
    const context = { log: world.log, store: { clock: world.clock }, bindStream: deployment.bindings.stream };
    const found = await describeStream(context, name, source);
    const table = start.shards[name];
    if (table === undefined) throw new StreamError("bug", `source "${name}" has no shard table (P0)`);
    // K3: a hand-over opens no generation, where this was seen.
    checkSameStream(table, found);
    const { generation } = claim.head;
    const options = {
      name,
      stream: found.stream,
      source,
      retentionMillis: found.retentionMillis,
      generation,
      producer: place.number,
      owns,
      onBad,
    };
    readers.set(name, new SourceReader(world.log, world.clock, options, table));
  }
  return readers;
}
