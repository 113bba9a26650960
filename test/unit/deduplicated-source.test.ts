// C6 on the reading side: what a source that leaves out repeats gives, and keeps in its positions.
import { type Codec, dynamoCounters, json, kinesisSource, pipeline, value } from "tidemark";
import { runPipeline } from "tidemark/testing";
import { describe, expect, it } from "vitest";
import { foldShards } from "../../lib/checkpoint/shard-table.js";
import { type DedupeState, dedupe, emptyDedupe, inheritDedupe } from "../../lib/model/dedupe.js";
import { enclose } from "../../lib/model/envelope.js";
import type { SourceTable } from "../../lib/model/shards.js";
import { randomOf } from "../../lib/testing/seeded/random.js";
import { ack } from "./checkpoint-samples.js";
import { type At, first, idle, reading, second, third, turn, world } from "./source-world.js";

const lane = "out-0a0b0c0d0e0f-00000001-0.0";
const enveloped = (place: number, { chunk = 0, after = null as number | null } = {}, body = `${chunk}.${place}`) =>
  enclose({ lane, checkpoint: 1, chunk, place, after }, Buffer.from(body));
const deduplicate = { deduplicate: true } as const;

const takenOf = (at: At | undefined): DedupeState | undefined => at?.taken;

describe("a source that leaves out repeats", () => {
  it("C6 gives each record once, without its envelope, and others as they are", async () => {
    const here = world(1);
    const records = [enveloped(0), enveloped(1), enveloped(0), Buffer.from("plain"), enveloped(1), enveloped(2)];
    for (const data of records) here.control.put("s", "k", data);
    const one = reading(here, await here.table(), deduplicate);
    await idle(one);
    expect(one.bodies()).toEqual(["0.0", "0.1", "plain", "0.2"]);
  });

  it("C6 without the option records come as they are", async () => {
    const here = world(1);
    here.control.put("s", "k", enveloped(0));
    const one = reading(here, await here.table());
    await expect(idle(one)).rejects.toThrow(/UTF-8/);
  });

  it("C6 goes on from every position without one more, or one less", async () => {
    const records = [0, 1, 0, 2, 1, 2, 3, 0].map((place) => enveloped(place));
    for (let stop = 1; stop <= 4; stop++) {
      const here = world(1);
      for (const data of records) here.control.put("s", "k", data);
      const before = reading(here, await here.table(), deduplicate);
      before.consume(await before.held(), turn(stop));
      const kept = JSON.parse(JSON.stringify(before.positions())) as Record<string, At>;
      const after = reading(here, await here.table(kept), deduplicate);
      await idle(after);
      expect([...before.bodies(), ...after.bodies()]).toEqual(["0.0", "0.1", "0.2", "0.3"]);
    }
  });

  it("C6 keeps what it had where a read gives nothing, and where a shard ends", async () => {
    const here = world(1);
    here.control.put("s", "k", enveloped(0));
    const one = reading(here, await here.table(), deduplicate);
    await idle(one);
    const state = takenOf(one.positions()[first]);
    expect(state).toEqual(dedupe(emptyDedupe, enveloped(0)).state);
    here.control.split("s", first);
    await one.until(() => one.positions()[first]?.kind === "finished");
    expect(takenOf(one.positions()[first])).toEqual(state);
  });

  it("K3 C6 children begin with what their parents have taken", async () => {
    const here = world(2);
    here.control.put("s", "k", enveloped(0));
    const listed = await here.table();
    const one = reading(here, listed, deduplicate);
    await idle(one);
    here.control.merge("s", first, second);
    await one.until(() => Object.values(one.positions()).every(({ kind }) => kind === "finished"));
    const positions = Object.entries(one.positions()).map(([shardId, at]) => ({ shardId, at }));
    const acks = [ack({ positions: { in: positions } })];
    const folded = foldShards({ in: listed }, acks, { in: await here.log.shards("s") }).in as SourceTable;
    const child = folded.shards.find(({ shardId }) => shardId === third);
    expect(takenOf(child?.at)).toEqual(inheritDedupe(positions.map(({ at }) => at.taken ?? emptyDedupe)));
    for (const data of [enveloped(0), enveloped(1)]) here.control.put("s", "k", data);
    one.reader.enter(folded);
    await idle(one);
    expect(one.bodies()).toEqual(["0.0", "0.1"]);
  });

  it("an envelope of a later version is a record that does not decode", async () => {
    const here = world(1);
    here.control.put("s", "k", Uint8Array.of(0xf5, 0x54, 0x4d, 9));
    const bad: string[] = [];
    const onBad = (error: Error) => void bad.push(error.message);
    const one = reading(here, await here.table(), deduplicate, { onBad });
    await idle(one);
    expect(bad).toEqual([expect.stringMatching(/sequence number 7: .*version 9: upgrade/)]);
  });

  it("is part of the plan only where it is asked for", () => {
    const config = (over: object) => kinesisSource({ stream: "s", codec: json(), ...over }).config;
    expect(config(deduplicate)).toMatchObject(deduplicate);
    expect(config({ deduplicate: false })).toEqual(config({}));
    expect(config({})).not.toHaveProperty("deduplicate");
    expect(() => config({ deduplicate: "yes" })).toThrow(/deduplicate: must be true or false/);
  });
});

interface Put {
  readonly key: string;
  readonly n: number;
  readonly place: number;
  readonly chunk: number;
  readonly after: number | null;
}

/** As a writer leaves them that dies, whose successor begins with the chunk again, and that is not dead after all. */
function repeated(seed: number): { readonly puts: readonly Put[]; readonly rows: readonly Put[] } {
  const random = randomOf(`repeated ${seed}`);
  const rows = Array.from({ length: 60 }, (_, n): Put => {
    const [key, place, chunk] = [`key ${n % 3}`, n % 12, Math.floor(n / 12)];
    return { key, n, place, chunk, after: place < 3 ? null : place - 3 };
  });
  const puts = rows.flatMap((row, n) => {
    const back = random.chance(0.3) ? rows.slice(Math.max(row.chunk * 12, n - random.int(10)), n + 1) : [];
    return [row, ...back];
  });
  return { puts, rows };
}

const envelopes: Codec<Put> = {
  name: "envelopes",
  encode: (put) => enclose({ lane, checkpoint: 1, ...put }, Buffer.from(JSON.stringify(put))),
  decode: (payload) => JSON.parse(Buffer.from(payload).toString("utf8")) as Put,
};

it.each([1, 2, 3, 4, 5, 6])("C6 sessions that are killed count each once (seed %i)", async (seed) => {
  const counting = pipeline("counting", {}, (flow) =>
    flow
      .from("events", kinesisSource({ stream: "events", codec: envelopes, deduplicate: true }))
      .keyBy(({ key }) => key)
      .process("count", {
        state: { n: value(0), last: value(-1) },
        onRecord({ n }, { key, state }) {
          const inOrder = n > state.last.get() ? 1 : 0;
          state.last.set(n);
          return { key, rows: 1, inOrder };
        },
      })
      .to("totals", dynamoCounters({ table: "totals", key: ["key"] })),
  );
  const { puts, rows } = repeated(seed);
  const partitionKeys = { events: ({ key }: Put) => key };
  const run = await runPipeline(counting, { events: puts }, { seed, crashes: 4, shards: 2, partitionKeys });
  expect(puts.length).toBeGreaterThan(rows.length);
  expect(run.crashes).toBe(4);
  expect(run.sinks.totals).toEqual([0, 1, 2].map((n) => ({ key: `key ${n}`, rows: 20, inOrder: 20 })));
});
