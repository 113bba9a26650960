import type { LogShard } from "../../ports/log.js";
import type { MemoryLog } from "../memory/log.js";
import type { Random } from "../seeded/random.js";
import { hashOf, packed } from "./aggregate.js";
import type { Profile } from "./profile.js";
import { hasUnion } from "./shape.js";
import type { Stage } from "./stage.js";
import { type NumberedRecord, noiseOf, type SourceName } from "./tally-pipeline.js";

/** A record as it was put. */
export interface Put {
  /** 1, 2, 3… in the order of putting. */
  readonly n: number;
  readonly source: SourceName;
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
  /** By source: parents by shard, of all shards that ever were. */
  readonly parents: Readonly<Record<SourceName, ReadonlyMap<string, readonly string[]>>>;
}

interface Stream {
  readonly source: SourceName;
  readonly stage: Stage;
  readonly log: MemoryLog;
  readonly profile: Profile;
  readonly random: Random;
  /** Decides which records are long. */
  readonly lengths: Random;
  /** Of all streams. */
  readonly puts: Put[];
  readonly parents: Map<string, readonly string[]>;
  /** Open shards in the order of their hash keys, so that neighbours can be merged. */
  open: string[];
}

const burstMillis = 4_000;

/** Plans records, splits and merges over the time in which things go wrong. */
export function planInput(stage: Stage, log: MemoryLog, profile: Profile, random: Random): Input {
  const puts: Put[] = [];
  const planned = (source: SourceName, of: Profile, chance: Random) =>
    planStream({ stage, log, profile: of, puts, source, random: chance, lengths: chance.fork("lengths") });
  const numbers = planned("numbers", profile, random);
  const fewer = { ...profile, records: Math.ceil(profile.records / 2), shards: Math.max(1, profile.shards - 1) };
  const others = profile.shape.others === "none" ? new Map() : planned("others", fewer, random.fork("others"));
  return { puts, parents: { numbers, others } };
}

function planStream(parts: Omit<Stream, "parents" | "open">): Stream["parents"] {
  const { stage, log, profile, random, source } = parts;
  log.control.createStream(source, profile.shards);
  log.control.setRetention(source, profile.retentionMillis);
  const open = Array.from({ length: profile.shards }, (_, index) => `shardId-${String(index).padStart(12, "0")}`);
  const parents = new Map<string, readonly string[]>(open.map((shardId) => [shardId, []]));
  const stream: Stream = { ...parts, parents, open };
  const keys = Array.from({ length: profile.keys }, (_, index) => `${source === "numbers" ? "key" : "also"}-${index}`);
  const bursts = Array.from({ length: profile.bursts }, () => random.int(profile.chaosMillis));
  const time = () =>
    bursts.length === 0
      ? random.int(profile.chaosMillis)
      : Math.min(profile.chaosMillis - 1, random.pick(bursts) + random.int(burstMillis));
  for (let i = 0; i < profile.records; i++) {
    const drawn = Array.from({ length: random.chance(profile.aggregates) ? random.between(2, 5) : 1 }, () => ({
      key: random.pick(keys),
      flaw: flawOf(stream),
      noise: noisy(stream),
    }));
    stage.scheduler.after(time(), () => (drawn.length === 1 ? putAlone(stream, drawn) : putTogether(stream, drawn)));
  }
  for (let i = 0; i < profile.reshards; i++) stage.scheduler.after(time(), () => reshard(stream));
  return parents;
}

type Drawn = Pick<Put, "key" | "flaw"> & { readonly noise: number };

function flawOf({ profile, random, source }: Stream): Put["flaw"] {
  if (profile.variant.bad !== "quarantine" || !random.chance(0.15)) return "none";
  // The operator that throws takes what is not joined only.
  const both = source === "numbers" || hasUnion(profile.shape);
  return random.pick(both ? (["bytes", "poison"] as const) : (["bytes"] as const));
}

/** Every third record or so: frames with such lie in the bucket, those without in their notes. */
const noisy = ({ profile, lengths }: Stream): number => {
  const { noise } = profile.pressure;
  return noise > 0 && lengths.chance(0.3) ? lengths.pick([noise / 3, noise]) : 0;
};

function dataOf(n: number, { key, flaw, noise }: Drawn): Uint8Array {
  const long = noise === 0 ? {} : { noise: noiseOf(noise, n) };
  const record: NumberedRecord = flaw === "poison" ? { n, key, ...long, poison: true } : { n, key, ...long };
  return Buffer.from(flaw === "bytes" ? `no JSON ${n}` : JSON.stringify(record));
}

function putAlone(stream: Stream, drawn: readonly Drawn[]): void {
  const { source } = stream;
  for (const one of drawn) {
    const n = stream.puts.length + 1;
    const data = dataOf(n, one);
    note(stream, { ...one, n, source, data, sub: null, ...stream.log.control.put(source, one.key, data) });
  }
}

/**
 * A producer packs records of one shard. Some are of another shard by now: readers leave them out, and the producer sends them
 * again.
 */
async function putTogether(stream: Stream, drawn: readonly Drawn[]): Promise<void> {
  const { source } = stream;
  const listed = await stream.log.log.shards(source);
  const first = stream.puts.length + 1;
  const all = drawn.map((one, index) => ({ ...one, source, n: first + index, data: dataOf(first + index, one) }));
  const [outer] = all;
  if (outer === undefined) return;
  const put = stream.log.control.put(source, outer.key, packed(all));
  const shard = listed.find(({ shardId }) => shardId === put.shardId);
  for (const [sub, one] of all.entries()) {
    if (isWithin(shard, one.key)) note(stream, { ...one, sub, ...put });
    else note(stream, { ...one, sub: null, ...stream.log.control.put(source, one.key, one.data) });
  }
}

function isWithin(shard: LogShard | undefined, key: string): boolean {
  const [first, last] = (shard?.hashKeys ?? []).map(BigInt);
  return first !== undefined && last !== undefined && first <= hashOf(key) && hashOf(key) <= last;
}

function note(stream: Stream, put: Omit<Put, "sequenceNumber" | "at"> & { readonly sequenceNumber: string }): void {
  const { n, source, key, shardId, sequenceNumber, sub, flaw, data } = put;
  const { scheduler } = stream.stage;
  const at = scheduler.now;
  stream.puts.push({ n, source, key, shardId, sub, flaw, data, sequenceNumber: BigInt(sequenceNumber), at });
  const where = `${shardId.slice(-2)} at ${sequenceNumber}${sub === null ? "" : `/${sub}`}`;
  stream.stage.tell(
    `input ${n} of ${key}${flaw === "none" ? "" : ` (${flaw})`} into ${source === "numbers" ? "" : "others "}${where}`,
  );
}

function reshard(stream: Stream): void {
  const { random, stage, source } = stream;
  const { control } = stream.log;
  const at = random.int(stream.open.length);
  const [left, right] = [stream.open[at], stream.open[at + 1]];
  if (left === undefined) return;
  if (right !== undefined && random.chance(0.5)) {
    const child = control.merge(source, left, right);
    stream.parents.set(child, [left, right]);
    stream.open.splice(at, 2, child);
    stage.tell(`input ${left.slice(-2)} and ${right.slice(-2)} become ${child.slice(-2)}`);
    return;
  }
  const children = control.split(source, left);
  for (const child of children) stream.parents.set(child, [left]);
  stream.open.splice(at, 1, ...children);
  stage.tell(`input ${left.slice(-2)} becomes ${children.map((child) => child.slice(-2)).join(" and ")}`);
}

/** Whether `shard` comes from `ancestor` of the same stream, by any number of splits and merges. */
export function descends(parents: ReadonlyMap<string, readonly string[]>, shard: string, ancestor: string): boolean {
  const own = parents.get(shard) ?? [];
  return own.some((parent) => parent === ancestor || descends(parents, parent, ancestor));
}
