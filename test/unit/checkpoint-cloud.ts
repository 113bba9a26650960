import { json, kinesisSource, type PipelineOptions, pipeline, type Sink } from "tidemark";
import { type Coordinator, coordinate, emptyMemory } from "../../lib/checkpoint/coordinator.js";
import { claimLease, releaseLease } from "../../lib/checkpoint/lease.js";
import * as stored from "../../lib/checkpoint/store.js";
import type { Ack } from "../../lib/model/checkpoints.js";
import type { Desired, Head } from "../../lib/model/head.js";
import { checkpointId, millis, sessionId } from "../../lib/model/ids.js";
import type { Position } from "../../lib/model/shards.js";
import { memoryFunctions } from "../../lib/testing/memory/functions.js";
import { memoryLog } from "../../lib/testing/memory/log.js";
import { ack, desired, progress, task0, version } from "./checkpoint-samples.js";
import { type Fate, memoryStore } from "./checkpoint-worlds.js";

const sink: Sink<{ readonly id: string }> = {
  kind: "memory",
  delivery: "held",
  config: {},
  keyOf: (row) => row.id,
  open: () => ({
    target: "t",
    check: async () => {},
    close: async () => {},
    validate: () => {},
    apply: async () => {},
  }),
};
const source = kinesisSource({ stream: "flights", codec: json<{ readonly id: string }>(), start: "trim-horizon" });
const flights = (options: PipelineOptions) =>
  pipeline("p", options, (flow) => flow.from("flights", source).to("rows", sink));

/** A stream of one shard, and what two coordinators of version 7 need. Fates are of all swaps after the first wish. */
export async function world(fates: readonly Fate[] = [], options: PipelineOptions = {}) {
  const made = flights(options);
  const memory = memoryStore(["answered", ...fates]);
  const stream = memoryLog(memory.clock);
  stream.control.createStream("flights", 1);
  const { functions, sent } = memoryFunctions({ task: () => {}, supervisor: () => {} });
  const coordinator = (functionVersion = version): Coordinator => ({
    store: memory.store,
    log: stream.log,
    plan: made.plan,
    library: "0.1.0",
    bindStream: (name) => name,
    functions,
    decider: { functionVersion, settings: made.plan.settings, needsExchange: () => false },
    memory: emptyMemory(),
    tell: () => undefined,
  });
  const wish = async (next: Desired) => {
    const before = await stored.readDesired(memory.store);
    await stored.swapDesired(memory.store, before?.version ?? null, next);
  };
  const head = async (): Promise<Head> => {
    const found = await stored.readHead(memory.store);
    if (found === null) throw new Error("no head");
    return found.value;
  };
  await wish(desired());
  return { ...memory, ...stream, sent, coordinator, wish, head };
}
export type World = Awaited<ReturnType<typeof world>>;

/** Started, and its session holds the lease. */
export async function started(fates: readonly Fate[] = [], options: PipelineOptions = {}) {
  const at = await world(fates, options);
  const supervisor = at.coordinator();
  await coordinate(supervisor, [], null);
  const head = await at.head();
  const invocation = {
    pipeline: "p",
    incarnation: head.incarnation,
    generation: head.generation,
    task: task0,
    leaseVersion: 0,
  };
  const claimant = { session: sessionId("s1"), requestId: "q", functionVersion: version, deadline: millis(9e9) };
  const claimed = await claimLease(at.store, invocation, claimant);
  if (claimed.kind === "refused") throw new Error(claimed.why);
  return { ...at, supervisor, invocation, claim: claimed.claim };
}

export const own = (over = {}) => progress({ epoch: checkpointId(0), changed: true, ...over });

/** The shard's position in an ack of what is pending. */
export async function acking(at: World, over: Partial<Ack> = {}) {
  const head = await at.head();
  const { generation, pending, incarnation } = head;
  if (pending === null) throw new Error("nothing is pending");
  await stored.writeAck(at.store, incarnation, ack({ generation, checkpointId: pending.checkpointId, ...over }));
}

export async function checkpointed(at: World, over: Partial<Ack> = {}) {
  at.clock.pass(60_000);
  const session = at.coordinator();
  await coordinate(session, [], own());
  await acking(at, over);
  return (await coordinate(session, [], own({ changed: false }))).head?.value;
}

/** Its session has read up to `position` of the one shard, and nothing since: the pipeline sleeps, and nothing holds its lease. */
export async function asleep(positionOf: (at: World) => Position, fates: readonly Fate[] = []) {
  const at = await started(fates, { idle: { suspendAfter: "1m" } });
  const shardId = (await at.log.shards("flights"))[0]?.shardId ?? "";
  const idleSince = at.clock.now();
  at.clock.pass(60_000);
  const session = at.coordinator();
  const positions = { flights: [{ shardId, at: { kind: "open" as const, position: positionOf(at) } }] };
  await coordinate(session, [], own({ changed: false, idleSince }));
  await acking(at, { positions, idle: true });
  await coordinate(session, [], own({ changed: false, idleSince }));
  const end = { kind: "done", ack: checkpointId(1), committed: checkpointId(1) } as const;
  await releaseLease(at.store, at.claim, at.invocation, end);
  const before = at.sent().length;
  /** Invocations since. */
  const sent = () => at.sent().slice(before);
  return { ...at, sent, shardId };
}
