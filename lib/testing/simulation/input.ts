import type { LogShard } from "../../ports/log.js";
import type { MemoryLogControl } from "../memory/log.js";
import type { Stage } from "./process.js";
import type { Profile } from "./profile.js";
import type { Random } from "./random.js";

export const streamName = "numbers";

/** A record as it was put. */
export interface Put {
  /** 1, 2, 3… in the order of putting. */
  readonly n: number;
  readonly key: string;
  readonly shardId: string;
  readonly sequenceNumber: bigint;
  readonly at: number;
}

/** What was put, and how the stream was cut: all that the oracle knows. */
export interface Input {
  readonly puts: readonly Put[];
  /** Parents by shard, of all shards that ever were. */
  readonly parents: ReadonlyMap<string, readonly string[]>;
}

interface Stream {
  readonly puts: Put[];
  readonly parents: Map<string, readonly string[]>;
  /** Open shards in the order of their hash keys, so that neighbours can be merged. */
  open: string[];
}

/** Plans records, splits and merges over the time in which things go wrong, and some records later. */
export function planInput(stage: Stage, control: MemoryLogControl, profile: Profile, random: Random): Input {
  control.createStream(streamName, profile.shards);
  control.setRetention(streamName, profile.retentionMillis);
  const open = Array.from({ length: profile.shards }, (_, index) => `shardId-${String(index).padStart(12, "0")}`);
  const stream: Stream = { puts: [], parents: new Map(open.map((shardId) => [shardId, []])), open };
  const keys = Array.from({ length: profile.keys }, (_, index) => `key-${index}`);
  for (let i = 0; i < profile.records; i++) {
    const key = random.pick(keys);
    stage.scheduler.after(random.int(profile.chaosMillis), () => put(stage, control, stream, key));
  }
  for (let i = 0; i < profile.reshards; i++) {
    stage.scheduler.after(random.int(profile.chaosMillis), () => reshard(stage, control, stream, random));
  }
  return stream;
}

function put(stage: Stage, control: MemoryLogControl, stream: Stream, key: string): void {
  const n = stream.puts.length + 1;
  const { shardId, sequenceNumber } = control.put(streamName, key, Buffer.from(JSON.stringify({ n, key })));
  stream.puts.push({ n, key, shardId, sequenceNumber: BigInt(sequenceNumber), at: stage.scheduler.now });
  stage.tell(`input ${n} of ${key} into ${shardId.slice(-2)} at ${sequenceNumber}`);
}

function reshard(stage: Stage, control: MemoryLogControl, stream: Stream, random: Random): void {
  const at = random.int(stream.open.length);
  const [left, right] = [stream.open[at], stream.open[at + 1]];
  if (left === undefined) return;
  if (right !== undefined && random.chance(0.5)) {
    const child = control.merge(streamName, left, right);
    stream.parents.set(child, [left, right]);
    stream.open.splice(at, 2, child);
    stage.tell(`input ${left.slice(-2)} and ${right.slice(-2)} become ${child.slice(-2)}`);
    return;
  }
  const children = control.split(streamName, left);
  for (const child of children) stream.parents.set(child, [left]);
  stream.open.splice(at, 1, ...children);
  stage.tell(`input ${left.slice(-2)} becomes ${children.map((child) => child.slice(-2)).join(" and ")}`);
}

/** Whether `shard` comes from `ancestor`, by any number of splits and merges. */
export function descends(input: Input, shard: string, ancestor: string): boolean {
  const parents = input.parents.get(shard) ?? [];
  return parents.some((parent) => parent === ancestor || descends(input, parent, ancestor));
}

/** For messages. */
export const shardNames = (shards: readonly Pick<LogShard, "shardId">[]): string =>
  shards.map(({ shardId }) => shardId.slice(-2)).join();
