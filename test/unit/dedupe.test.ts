import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { kinesisStream } from "../../lib/connectors/kinesis-stream.js";
import { type DedupeState, dedupe, emptyDedupe, inheritDedupe } from "../../lib/model/dedupe.js";
import { disclose, type Envelope, enclose } from "../../lib/model/envelope.js";
import { checkpointId, generation, taskId } from "../../lib/model/ids.js";
import { segmentToken } from "../../lib/pipeline/segment-token.js";
import type { LogWriter } from "../../lib/pipeline/sink.js";
import { permitFor } from "../../lib/testing/conformance/sink-permits.js";
import { memoryResources } from "../../lib/testing/conformance/sink-resources.js";
import { faulty } from "../../lib/testing/faults/faulty.js";
import { type MemoryLogControl, memoryLog } from "../../lib/testing/memory/log.js";
import { type Random, randomOf } from "../../lib/testing/seeded/random.js";
import { quickClock } from "./checkpoint-worlds.js";

interface Golden extends Envelope {
  readonly payload: string;
  readonly hex: string;
}
const golden = JSON.parse(readFileSync(new URL("../golden/envelope-1.json", import.meta.url), "utf8")) as Golden;

const utf8 = (text: string) => new TextEncoder().encode(text);
const laneOf = (g: number, task = "0.0", sink = "out") => `${sink}-0a0b0c0d0e0f-${String(g).padStart(8, "0")}-${task}`;
const record = (over: Partial<Envelope> = {}, payload = "x") =>
  enclose({ lane: laneOf(1), checkpoint: 1, chunk: 0, place: 0, after: null, ...over }, utf8(payload));

/** Of one shard: which of these records are fresh, and what is kept then. */
function feed(records: readonly Uint8Array[], from: DedupeState = emptyDedupe) {
  let state = from;
  const fresh = records.map((data) => {
    const next = dedupe(state, data);
    // It goes through a checkpoint.
    state = JSON.parse(JSON.stringify(next.state)) as DedupeState;
    return next.fresh;
  });
  return { fresh, state };
}

describe("the envelope", () => {
  it("C6 has these bytes, and always will", () => {
    const { payload, hex, ...envelope } = golden;
    expect(Buffer.from(enclose(envelope, utf8(payload))).toString("hex")).toBe(hex);
    expect(disclose(Buffer.from(hex, "hex"))).toEqual({ envelope, payload: Buffer.from(payload) });
  });

  it("C6 comes back with the greatest numbers, and from bytes that lie within others", () => {
    const envelope = { lane: "l".repeat(255), checkpoint: 2 ** 47, chunk: 2 ** 32 - 1, place: 0xfffe, after: null };
    const around = Buffer.concat([Buffer.from("before"), enclose(envelope, utf8("body"))]);
    expect(disclose(around.subarray(6))).toEqual({ envelope, payload: Buffer.from("body") });
    expect(disclose(enclose({ ...envelope, after: 0 }, new Uint8Array(0)))?.envelope.after).toBe(0);
  });

  it("what has none is another producer's; what is of a later version, or cut off, is told", () => {
    for (const data of ["", "{}", "õTM", "\u{1f600}"].map(utf8)) expect(disclose(data)).toBeNull();
    const whole = record();
    expect(() => disclose(whole.subarray(0, 20))).toThrow(/ends in its envelope/);
    expect(() => disclose(Uint8Array.of(0xf5, 0x54, 0x4d, 2))).toThrow(/version 2: upgrade/);
    expect(() => dedupe(emptyDedupe, record({ lane: "no lane" }))).toThrow(/no task's lane/);
  });
});

describe("what is fresh", () => {
  it("C6 each record once, whatever of other lanes lies between", () => {
    const one = record({ place: 3 });
    const others = [
      record({ lane: laneOf(1, "0.1"), checkpoint: 9 }),
      record({ lane: laneOf(2, "0.1"), checkpoint: 9 }),
    ];
    const another = record({ lane: laneOf(1, "0.0", "other"), place: 3 });
    const { fresh, state } = feed([one, ...others, one, another, others[0] as Uint8Array]);
    expect(fresh).toEqual([true, true, true, false, true, false]);
    expect(feed([record({ place: 4 })], state).fresh).toEqual([true]);
  });

  it("C6 nothing of an older checkpoint or chunk of its lane", () => {
    const order = [
      [5, 1, true],
      [5, 0, false],
      [4, 9, false],
      [5, 2, true],
      [5, 1, false],
      [10, 0, true],
    ] as const;
    const records = order.map(([checkpoint, chunk], place) => record({ checkpoint, chunk, place }));
    expect(feed(records).fresh).toEqual(order.map(([, , fresh]) => fresh));
  });

  it("C6 nothing behind one of its key that is missing, until that has come", () => {
    const [first, second, third] = [null, 0, 1].map((after, place) => record({ place, after }));
    const all = [second, third, first, third, second, third, first, second].map((one) => one ?? record());
    expect(feed(all).fresh).toEqual([false, false, true, false, true, true, false, false]);
  });

  it("C6 keeps the three newest generations of an output, and nothing of older ones", () => {
    const { fresh, state } = feed([1, 2, 3, 4, 5].map((g) => record({ lane: laneOf(g) })));
    expect(fresh).toEqual([true, true, true, true, true]);
    expect(
      feed(
        [2, 1, 3, 5].map((g) => record({ lane: laneOf(g), checkpoint: 7 })),
        state,
      ).fresh,
    ).toEqual([false, false, true, true]);
    const later = feed(
      Array.from({ length: 50 }, (_, g) => record({ lane: laneOf(10 + g), place: 499 })),
      state,
    );
    expect(JSON.stringify(later.state).length).toBeLessThan(600);
  });

  it("what another producer wrote, as it is", () => {
    const data = utf8("{}");
    expect(dedupe(emptyDedupe, data)).toEqual({ state: emptyDedupe, fresh: true, payload: data });
  });

  it("C6 a shard begins with what its parents end with: of a lane the furthest, and all of it", () => {
    const left = feed([record({ place: 1 }), record({ lane: laneOf(1, "0.1"), chunk: 3 })]).state;
    const right = feed([record({ place: 6 }), record({ lane: laneOf(1, "0.1"), chunk: 2, place: 5 })]).state;
    const state = inheritDedupe([left, right]);
    expect(inheritDedupe([right, left])).toEqual(state);
    const again = [record({ place: 1 }), record({ place: 6 }), record({ lane: laneOf(1, "0.1"), chunk: 2, place: 5 })];
    expect(feed([...again, record({ place: 2 })], state).fresh).toEqual([false, false, false, true]);
    expect(inheritDedupe([])).toEqual(emptyDedupe);
    expect(inheritDedupe([left])).toEqual(left);
  });
});

interface Row {
  readonly key: string;
  readonly n: number;
}
const keys = ["a", "b", "c", "d"];
const rowsPerChunk = 12;

/** Two sessions bring the same segments, one of them dead to everybody else, through calls that are lost, refused, and in another order. */
async function write(
  control: MemoryLogControl,
  sessions: readonly LogWriter[],
  random: Random,
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  const done: (readonly [checkpoint: number, chunk: number, rows: readonly Row[]])[] = [];
  const bring = (by: LogWriter, [checkpoint, chunk, some]: (typeof done)[number]) => {
    const token = segmentToken({
      ...{ sink: "out", incarnation: "0a0b0c0d0e0f", task: taskId(0, 0), generation: generation(1) },
      checkpointId: checkpointId(checkpoint),
      chunk,
    });
    return by.apply("events", { token, rows: some }, permitFor(99));
  };
  for (let step = 0; step < 12; step++) {
    const some = Array.from({ length: rowsPerChunk }, (_, n) => ({
      key: random.pick(keys),
      n: step * rowsPerChunk + n,
    }));
    const next = [Math.floor(step / 3), step % 3, some] as const;
    const zombies = done.slice(-3).map((one) => bring(random.pick(sessions), one).catch(() => undefined));
    const both = sessions.map((session) => bring(session, next));
    if (random.chance(0.5)) reshard(control, random);
    await Promise.any(both);
    if (random.chance(0.3)) reshard(control, random);
    await Promise.allSettled([...both, ...zombies]);
    done.push(next);
    rows.push(...some);
  }
  return rows;
}

function reshard(control: MemoryLogControl, random: Random): void {
  const all = control.shards("events");
  const open = all.filter(({ shardId }) => !all.some(({ parents }) => parents.includes(shardId)));
  const sorted = open.toSorted((a, b) => (BigInt(a.hashKeys[0]) < BigInt(b.hashKeys[0]) ? -1 : 1));
  const at = random.int(sorted.length);
  const [one, next] = [sorted[at], sorted[at + 1]];
  if (one !== undefined && next !== undefined && sorted.length > 2) control.merge("events", one.shardId, next.shardId);
  else if (one !== undefined) control.split("events", one.shardId);
}

/** Shard by shard, each after those that it came out of. */
function read(control: MemoryLogControl): { readonly rows: readonly Row[]; readonly records: number } {
  const states = new Map<string, DedupeState>();
  const rows: Row[] = [];
  let records = 0;
  for (const { shardId, parents } of control.shards("events")) {
    let state = inheritDedupe(parents.map((parent) => states.get(parent) ?? emptyDedupe));
    for (const { data } of control.records("events", shardId)) {
      const next = dedupe(state, data);
      state = next.state;
      records++;
      if (next.fresh) rows.push(JSON.parse(Buffer.from(next.payload).toString("utf8")) as Row);
    }
    states.set(shardId, state);
  }
  return { rows, records };
}

it.each(Array.from({ length: 40 }, (_, seed) => seed))(
  "C6 each row once, and those of a key in their order, whatever was lost, refused, repeated and split (seed %i)",
  async (seed) => {
    const { streams, control } = memoryLog(quickClock());
    control.createStream("events", 2);
    const sink = kinesisStream<Row>({ stream: "events", partitionKey: ({ key }) => key });
    if (sink.delivery !== "log") throw new Error("it is a log");
    const open = (session: string) => {
      const clock = quickClock();
      const rates = { lost: 0.1, log: 0.1 };
      const { world } = faulty({ streams }, { seed: `${seed} ${session}`, rates, clock });
      return sink.open(memoryResources({ streams: world.streams, clock }));
    };
    const rows = await write(control, ["one", "two"].map(open), randomOf(`dedupe ${seed}`));
    const seen = read(control);
    expect(seen.records).toBeGreaterThan(rows.length);
    for (const key of keys) {
      const of = (all: readonly Row[]) => all.filter((row) => row.key === key).map(({ n }) => n);
      expect(of(seen.rows)).toEqual(of(rows));
    }
  },
);
