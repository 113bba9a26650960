import type { LogShard } from "../../ports/log.js";
import type { MemoryLog } from "../memory/log.js";
import type { Random } from "../seeded/random.js";
import { hashOf, packed } from "./aggregate.js";
import type { Profile } from "./profile.js";
import type { Stage } from "./stage.js";
import { type NumberedRecord, streamName } from "./tally-pipeline.js";

/** A record as it was put. */
export interface Put {
  /** 1, 2, 3… in the order of putting. */
  readonly n: number;
  readonly key: string;
  readonly shardId: string;
  readonly sequenceNumber: bigint;
  /** Its place in an aggregate. */
  readonly sub: number | null;
  readonly at: number;
  /** "bytes": no codec reads it. "poison": an operator throws at it. */
  readonly flaw: "none" | "bytes" | "poison";
  readonly data: Uint8Array;
}

/** What was put, and how the stream was cut: all that the oracle knows. */
export interface Input {
  readonly puts: readonly Put[];
  /** Parents by shard, of all shards that ever were. */
  readonly parents: ReadonlyMap<string, readonly string[]>;
}

interface Stream {
  readonly stage: Stage;
  readonly log: MemoryLog;
  readonly profile: Profile;
  readonly random: Random;
  readonly puts: Put[];
  readonly parents: Map<string, readonly string[]>;
  /** Open shards in the order of their hash keys, so that neighbours can be merged. */
  open: string[];
}

const burstMillis = 4_000;

/** Plans records, splits and merges over the time in which things go wrong. */
export function planInput(stage: Stage, log: MemoryLog, profile: Profile, random: Random): Input {
  log.control.createStream(streamName, profile.shards);
  log.control.setRetention(streamName, profile.retentionMillis);
  const open = Array.from({ length: profile.shards }, (_, index) => `shardId-${String(index).padStart(12, "0")}`);
  const parents = new Map<string, readonly string[]>(open.map((shardId) => [shardId, []]));
  const stream: Stream = { stage, log, profile, random, puts: [], parents, open };
  const keys = Array.from({ length: profile.keys }, (_, index) => `key-${index}`);
  const bursts = Array.from({ length: profile.bursts }, () => random.int(profile.chaosMillis));
  const time = () =>
    bursts.length === 0
      ? random.int(profile.chaosMillis)
      : Math.min(profile.chaosMillis - 1, random.pick(bursts) + random.int(burstMillis));
  for (let i = 0; i < profile.records; i++) {
    const drawn = Array.from({ length: random.chance(profile.aggregates) ? random.between(2, 5) : 1 }, () => ({
      key: random.pick(keys),
      flaw: flawOf(profile, random),
    }));
    stage.scheduler.after(time(), () => (drawn.length === 1 ? putAlone(stream, drawn) : putTogether(stream, drawn)));
  }
  for (let i = 0; i < profile.reshards; i++) stage.scheduler.after(time(), () => reshard(stream));
  return stream;
}

type Drawn = Pick<Put, "key" | "flaw">;

function flawOf(profile: Profile, random: Random): Put["flaw"] {
  if (profile.variant.bad !== "quarantine" || !random.chance(0.15)) return "none";
  return random.pick(["bytes", "poison"] as const);
}

function dataOf(n: number, { key, flaw }: Drawn): Uint8Array {
  const record: NumberedRecord = flaw === "poison" ? { n, key, poison: true } : { n, key };
  return Buffer.from(flaw === "bytes" ? `no JSON ${n}` : JSON.stringify(record));
}

function putAlone(stream: Stream, drawn: readonly Drawn[]): void {
  for (const one of drawn) {
    const n = stream.puts.length + 1;
    const data = dataOf(n, one);
    note(stream, { ...one, n, data, sub: null, ...stream.log.control.put(streamName, one.key, data) });
  }
}

/**
 * A producer packs records of one shard. Some are of another shard by now: readers leave them out, and the producer sends them
 * again.
 */
async function putTogether(stream: Stream, drawn: readonly Drawn[]): Promise<void> {
  const listed = await stream.log.log.shards(streamName);
  const first = stream.puts.length + 1;
  const all = drawn.map((one, index) => ({ ...one, n: first + index, data: dataOf(first + index, one) }));
  const [outer] = all;
  if (outer === undefined) return;
  const put = stream.log.control.put(streamName, outer.key, packed(all));
  const shard = listed.find(({ shardId }) => shardId === put.shardId);
  for (const [sub, one] of all.entries()) {
    if (isWithin(shard, one.key)) note(stream, { ...one, sub, ...put });
    else note(stream, { ...one, sub: null, ...stream.log.control.put(streamName, one.key, one.data) });
  }
}

function isWithin(shard: LogShard | undefined, key: string): boolean {
  const [first, last] = (shard?.hashKeys ?? []).map(BigInt);
  return first !== undefined && last !== undefined && first <= hashOf(key) && hashOf(key) <= last;
}

function note(stream: Stream, put: Omit<Put, "sequenceNumber" | "at"> & { readonly sequenceNumber: string }): void {
  const { n, key, shardId, sequenceNumber, sub, flaw } = put;
  const { scheduler } = stream.stage;
  stream.puts.push({ ...put, sequenceNumber: BigInt(sequenceNumber), at: scheduler.now });
  const where = `${shardId.slice(-2)} at ${sequenceNumber}${sub === null ? "" : `/${sub}`}`;
  stream.stage.tell(`input ${n} of ${key}${flaw === "none" ? "" : ` (${flaw})`} into ${where}`);
}

function reshard(stream: Stream): void {
  const { random, stage } = stream;
  const { control } = stream.log;
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
