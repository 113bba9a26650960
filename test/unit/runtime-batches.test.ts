import { describe, expect, it } from "vitest";
import type { StreamError } from "../../lib/model/errors.js";
import { millis } from "../../lib/model/ids.js";
import type { Position } from "../../lib/model/shards.js";
import type { RecordView } from "../../lib/runtime/record-view.js";
import { now } from "./checkpoint-samples.js";
import { type At, first, idle, reading, second, turn, world } from "./source-world.js";

const open = <P extends Position>(position: P) => ({ kind: "open", position }) as const;

/** Records a second apart; their sequence numbers. */
async function filled(bodies: string) {
  const here = world(1);
  const numbers: string[] = [];
  for (const body of bodies) {
    numbers.push(here.put(body).sequenceNumber);
    await here.clock.sleep(1_000);
  }
  const behind = (index: number) => ({
    [first]: open({
      kind: "after",
      sequenceNumber: String(numbers[index]),
      sub: null,
      readTo: millis(now + index * 1_000),
    }),
  });
  return { here, behind };
}

describe("a batch that is taken in parts", () => {
  it("P1 the position is behind the last record taken, and promises no more", async () => {
    const { here, behind } = await filled("abcde");
    const one = reading(here, await here.table());
    await one.held();
    one.consume(first, turn(2));
    expect(one.bodies()).toEqual(["a", "b"]);
    expect(one.positions()).toEqual(behind(1));
    expect(one.reader.holding()).toEqual([first]);
    expect(one.reader.changed).toBe(true);
    one.consume(first, turn(1));
    expect(one.positions()).toEqual(behind(2));
    one.consume(first, turn(2));
    expect(one.bodies()).toEqual(["a", "b", "c", "d", "e"]);
    expect(one.positions()).toEqual(behind(4));
    expect(one.reader.holding()).toEqual([]);
  });

  it("of the shard nothing more is read while a part waits", async () => {
    const { here } = await filled("abc");
    const one = reading(here, await here.table());
    await one.held();
    one.consume(first, turn(1));
    one.pump();
    await here.clock.sleep(10_000);
    expect(here.calls).toHaveLength(1);
    one.consume(first);
    one.pump();
    await here.clock.sleep(10_000);
    expect(here.calls).toHaveLength(2);
  });

  it("a cut in the middle does not end it, and what came since is a change again", async () => {
    const { here, behind } = await filled("abc");
    const one = reading(here, await here.table());
    await one.held();
    one.consume(first, turn(1));
    expect(one.positions()).toEqual(behind(0));
    one.reader.changed = false;
    one.consume(first, turn(1));
    expect(one.reader.changed).toBe(true);
    one.consume(first);
    expect(one.bodies()).toEqual(["a", "b", "c"]);
  });

  it("a session that has read to the tip once is not idle while a part waits", async () => {
    const { here } = await filled("a");
    const one = reading(here, await here.table());
    await idle(one);
    for (const body of "bcd") here.put(body);
    await one.held();
    one.consume(first, turn(1));
    expect(one.reader.idle).toBe(false);
    one.consume(first);
    await idle(one);
    expect(one.bodies()).toEqual(["a", "b", "c", "d"]);
  });

  it("K3 P1 the end of a shard is its entry only when its last record is taken", async () => {
    const { here, behind } = await filled("abc");
    const begin = open({ kind: "beginning", readTo: millis(now - 7) });
    here.control.split("s", first);
    const one = reading(here, await here.table({ [first]: begin }, [first]));
    await one.held();
    one.consume(first, turn(2));
    expect(one.positions()).toEqual(behind(1));
    one.consume(first);
    expect(one.positions()).toEqual({
      [first]: { kind: "finished", generation: 3, producer: 2, sent: {}, readTo: millis(now - 7) },
    });
  });

  it("bounded input ends when the record past its end is looked at, not before", async () => {
    const { here, behind } = await filled("abcd");
    const one = reading(here, await here.table(), { end: { at: new Date(now + 2_000) } });
    await one.held();
    one.consume(first, turn(2));
    expect([one.reader.finished, one.bodies()]).toEqual([false, ["a", "b"]]);
    expect(one.positions()).toEqual(behind(1));
    one.consume(first, turn(2));
    expect([one.reader.finished, one.bodies()]).toEqual([true, ["a", "b"]]);
    expect(one.positions()).toEqual(behind(1));
    expect(one.reader.holding()).toEqual([]);
  });

  it("P1 wherever a part ends and the session with it, its successor goes on there", async () => {
    const here = world(2, 7);
    for (let i = 0; i < 90; i++) here.put(`k${i}`);
    const expected = [first, second].map((shard) =>
      here.control.records("s", shard).map(({ data }) => Buffer.from(data).toString()),
    );
    let at: Record<string, At> = {};
    const taken: ReturnType<typeof reading>["taken"] = [];
    for (let session = 0; taken.length < 90; session++) {
      if (session > 300) throw new Error(`stuck at ${taken.length}`);
      const one = reading(here, await here.table(at));
      for (let i = 0; i <= session % 2; i++) await one.held();
      for (const shard of [second, first, second]) one.consume(shard, turn(1 + (session % 4)));
      at = one.positions();
      taken.push(...one.taken);
    }
    const perShard = [first, second].map((shard) => taken.filter((one) => one.shard === shard).map(({ body }) => body));
    expect(perShard).toEqual(expected);
  });

  it("a record that fails is not behind the position", async () => {
    const { here, behind } = await filled("abc");
    const one = reading(here, await here.table());
    await one.held();
    const take = (body: unknown) => {
      if (body === "c") throw new Error("no");
    };
    expect(() => one.reader.consume(first, take, () => true)).toThrow("no");
    expect(one.positions()).toEqual(behind(1));
  });
});

describe("what is given", () => {
  it("is one view for all records of a shard, with number, arrival and bytes", async () => {
    const { here } = await filled("ab");
    const one = reading(here, await here.table());
    await one.held();
    const seen: RecordView[] = [];
    const told: unknown[] = [];
    one.reader.consume(
      first,
      (body, record) => {
        const { source, shard, subSequenceNumber, arrivedAt, data } = record;
        told.push([body, source, shard, subSequenceNumber, arrivedAt, Buffer.from(data).toString()]);
        seen.push(record);
      },
      () => true,
    );
    expect(told).toEqual([
      ["a", "in", first, null, now, "a"],
      ["b", "in", first, null, now + 1_000, "b"],
    ]);
    expect(seen[0]).toBe(seen[1]);
  });

  it("and does not decode goes to onBad instead, and the position moves behind it", async () => {
    const { here, behind } = await filled("axb");
    const bad: unknown[] = [];
    const codec = {
      name: "no x",
      decode(data: Uint8Array) {
        if (data[0] === 120) throw new Error("x");
        return Buffer.from(data).toString();
      },
      encode: () => new Uint8Array(),
    };
    const onBad = ({ message }: StreamError, record: RecordView) =>
      bad.push([message, record.sequenceNumber, Buffer.from(record.data).toString()]);
    const one = reading(here, await here.table(), { codec }, { onBad });
    await one.held();
    one.consume(first, turn(2));
    expect(one.bodies()).toEqual(["a"]);
    expect(one.positions()).toEqual(behind(1));
    const { sequenceNumber } = behind(1)[first]?.position ?? {};
    const message = `source "in", shard ${first}, sequence number ${sequenceNumber}: it does not decode (codec no x)`;
    expect(bad).toEqual([[message, sequenceNumber, "x"]]);
    one.consume(first);
    expect(one.bodies()).toEqual(["a", "b"]);
  });

  it("and makes onBad throw is not behind the position", async () => {
    const { here } = await filled("x");
    const codec = { name: "none", decode: () => JSON.parse(""), encode: () => new Uint8Array() };
    const one = reading(here, await here.table(), { codec });
    await one.held();
    expect(() => one.consume(first)).toThrow("does not decode");
    expect(one.positions()).toEqual({ [first]: open({ kind: "horizon", readTo: null }) });
  });
});
