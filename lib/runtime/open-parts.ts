import type { Claim } from "../checkpoint/lease.js";
import { repeat } from "../checkpoint/repeat.js";
import { checkSameStream, describeStream } from "../checkpoint/streams.js";
import { StreamError } from "../model/errors.js";
import { type CheckpointId, type Millis, taskParts } from "../model/ids.js";
import type { SourceTable } from "../model/shards.js";
import { encodeVersion } from "../model/versions.js";
import type { Sink, SinkResources } from "../pipeline/sink.js";
import type { World } from "../ports/world.js";
import { Calls } from "./calls.js";
import type { Identity } from "./cut.js";
import { coordinatorOf, type Deployment, storeOf } from "./deployment.js";
import type { GuardedWorld } from "./guard.js";
import { Mailbox } from "./mailbox.js";
import { type OpenedWriter, openOutputs } from "./outputs.js";
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
  me: Identity,
  start: Start,
  deadline: Millis,
): Promise<SessionParts> {
  const { plan } = deployment;
  const store = storeOf(deployment, guarded.world);
  const writers = openWriters(deployment, guarded.world, me);
  const mailbox = new Mailbox<SessionEvent>();
  const calls = new Calls(store.clock);
  const versionOf = (epoch: CheckpointId, seq: number) =>
    encodeVersion({ incarnation: me.incarnation, generation: me.generation, epoch, task: me.task, seq });
  const task = new Task(plan, {
    outputs: openOutputs(plan, writers, { epoch: start.epoch, versionOf }),
    startCall: (call, timeoutMillis) => calls.start(call, timeoutMillis),
    wake: () => mailbox.post({ kind: "ready" }),
  });
  const onBad = (error: StreamError, record: RecordView) => task.refuse(error, record);
  const readers = await openReaders(deployment, guarded.world, claim, start, onBad);
  for (const { writer } of writers.values()) await repeat(store.clock, () => writer.check());
  return {
    store,
    guarded,
    coordinator: coordinatorOf(deployment, guarded.world),
    record: claim.record,
    settings: plan.settings,
    deadline,
    task,
    calls,
    mailbox,
    readers,
    writers,
    commit: { store, incarnation: claim.head.incarnation, writers },
    log: deployment.log,
  };
}

function openWriters(deployment: Deployment, world: World, me: Identity): ReadonlyMap<string, OpenedWriter> {
  const { table, file } = deployment.bindings;
  const { tables, files, clock } = world;
  const bind: SinkResources["bind"] = (kind, logical) => (kind === "table" ? table(logical) : file(logical));
  return new Map(
    [...deployment.plan.sinks].map(([name, sink]) => {
      const task = `${name}-${me.incarnation}-${me.task}-`;
      const stage = { task, session: `${task}${me.generation}-${me.session}` };
      return [name, openWriter(sink, { tables, files, clock, bind, stage })];
    }),
  );
}

export function openWriter(sink: Sink<never>, resources: SinkResources): OpenedWriter {
  switch (sink.delivery) {
    case "held":
      return { delivery: "held", writer: sink.open(resources) };
    case "eager":
      return { delivery: "eager", writer: sink.open(resources) };
    case "two-phase":
      return { delivery: "two-phase", writer: sink.open(resources) };
  }
}

async function openReaders(
  deployment: Deployment,
  world: World,
  claim: Claim,
  start: Start,
  onBad: NonNullable<ReaderOptions["onBad"]>,
): Promise<ReadonlyMap<string, SourceReader>> {
  const readers = new Map<string, SourceReader>();
  for (const [name, source] of deployment.plan.sources) {
    const context = { log: world.log, store: { clock: world.clock }, bindStream: deployment.bindings.stream };
    const found = await describeStream(context, name, source);
    const table = start.shards[name];
    if (table === undefined) throw new StreamError("bug", `source "${name}" has no shard table (P0)`);
    // K3: a hand-over opens no generation, where this was seen.
    checkSameStream(table, found);
    const { generation } = claim.head;
    const { index } = taskParts(claim.lease.task);
    const options = {
      name,
      stream: found.stream,
      source,
      retentionMillis: found.retentionMillis,
      generation,
      producer: index,
      onBad,
    };
    readers.set(name, new SourceReader(world.log, world.clock, options, ownShards(table)));
  }
  return readers;
}

/** K2 at parallelism 1: the one task owns every key group, so every shard's starting hash key lies in its range. */
const ownShards = (table: SourceTable): SourceTable => table;
