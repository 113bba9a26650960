import { describe, expect, it } from "vitest";
import { millis } from "../../lib/model/ids.js";
import { userRecordsOf, withinShard } from "../../lib/runtime/aggregates.js";
import { now } from "./checkpoint-samples.js";
import { aggregate, aggregateOf, readByLibrary, sealed } from "./kpl-samples.js";
import { type At, day, first, idle, reading, turn, world } from "./source-world.js";

const bodiesOf = (data: Uint8Array) => userRecordsOf(data)?.map((one) => Buffer.from(one.data).toString()) ?? null;
const whole = ["0", String(2n ** 128n - 1n)] as const;

/**
 * Two partition keys, an explicit hash key, and three records of which the second has a tag; written by hand after the format's
 * page, its MD5 by md5sum.
 */
const golden = Buffer.from(
  [
    "f3899ac2",
    "0a0161", // partition_key_table: "a"
    "0a0162", // partition_key_table: "b"
    "12023432", // explicit_hash_key_table: "42"
    "1a06" + "0800" + "1a026869", // records: key 0, "hi"
    "1a0d" + "0801" + "1000" + "1a0179" + "22040a027431", // records: key 1, hash key 0, "y", tag "t1"
    "1a04" + "0801" + "1a00", // records: key 1, empty
    "5762e3cff3a8528cf0e1c445440acde1",
  ].join(""),
  "hex",
);

describe("the format", () => {
  it("a record made by hand is read: keys by their tables, tags passed over, an empty body kept", () => {
    const found = userRecordsOf(golden)?.map((one) => ({ ...one, data: Buffer.from(one.data).toString() }));
    expect(found).toEqual([
      { sub: 0, partitionKey: "a", explicitHashKey: null, data: "hi" },
      { sub: 1, partitionKey: "b", explicitHashKey: "42", data: "y" },
      { sub: 2, partitionKey: "b", explicitHashKey: null, data: "" },
    ]);
  });

  it("what the library has packed is read as the library reads it", () => {
    const bodies = Array.from({ length: 500 }, (_, n) => `${"é".repeat(n % 40)} record ${n} ${"x".repeat(n * 3)}`);
    const data = aggregateOf(bodies.map((body, n) => ({ partitionKey: `key ${n % 170}`, data: Buffer.from(body) })));
    expect(bodiesOf(data)).toEqual(bodies);
    expect(readByLibrary(data)).toEqual(bodies);
    expect(userRecordsOf(data)?.map((one) => one.partitionKey)).toEqual(bodies.map((_, n) => `key ${n % 170}`));
  });

  it("with a bit flipped anywhere it is a plain record", () => {
    const data = aggregate("one", "two");
    expect(bodiesOf(data)).toEqual(["one", "two"]);
    for (let bit = 0; bit < data.length * 8; bit++) {
      const flipped = Buffer.from(data);
      flipped[bit >> 3] = Number(flipped[bit >> 3]) ^ (1 << (bit & 7));
      expect(userRecordsOf(flipped), `bit ${bit}`).toBeNull();
    }
  });

  it("cut off anywhere it is a plain record", () => {
    const data = aggregate("one", "two");
    for (let length = 0; length < data.length; length++) expect(userRecordsOf(data.subarray(0, length))).toBeNull();
  });

  it.each([
    ["a key that its table does not have", "0a0161" + "1a06" + "0801" + "1a026869"],
    ["a hash key that its table does not have", "0a0161" + "1a08" + "0800" + "1000" + "1a026869"],
    ["a hash key that is no number", "0a0161" + "120178" + "1a08" + "0800" + "1000" + "1a026869"],
    ["a record without a body", "0a0161" + "1a02" + "0800"],
    ["a length past the end", "0a0161" + "1a7f" + "0800"],
    ["a number without an end", "ffffffffffffffffffff"],
    ["a group, which the format has none of", "0b"],
  ])("a message with %s is a plain record", (_, hex) => {
    expect(userRecordsOf(sealed(Buffer.from(hex, "hex")))).toBeNull();
  });

  it("fields of later versions are passed over", () => {
    const later = "0a0161" + "2801" + "3101020304050607083d01020304" + "1a06" + "0800" + "1a026869" + "4a0178";
    expect(bodiesOf(sealed(Buffer.from(later, "hex")))).toEqual(["hi"]);
  });

  it("an aggregate of nothing has no records", () => {
    expect(userRecordsOf(sealed(Buffer.from("0a0161", "hex")))).toEqual([]);
  });
});

describe("user records of another shard", () => {
  const half = 2n ** 127n;
  const low = ["0", String(half - 1n)] as const;
  const high = [String(half), whole[1]] as const;
  // MD5 of "a" begins with 0c, of "b" with 92.
  const mixed = aggregateOf([
    { partitionKey: "a", data: Buffer.from("low") },
    { partitionKey: "b", data: Buffer.from("high") },
    { partitionKey: "b", explicitHashKey: "7", data: Buffer.from("explicitly low") },
    { partitionKey: "a", explicitHashKey: String(half), data: Buffer.from("explicitly high") },
  ]);
  const kept = (range: readonly [string, string]) =>
    withinShard(userRecordsOf(mixed) ?? [], range).map(({ sub, data }) => [sub, Buffer.from(data).toString()]);

  it("are left out by the explicit hash key, or the MD5 of the partition key, and keep their numbers", () => {
    expect(kept(low)).toEqual([
      [0, "low"],
      [2, "explicitly low"],
    ]);
    expect(kept(high)).toEqual([
      [1, "high"],
      [3, "explicitly high"],
    ]);
    expect(kept(whole)).toHaveLength(4);
    expect(kept(["7", "7"])).toEqual([[2, "explicitly low"]]);
  });

  it.each([
    ["kpl", [["low"], ["explicitly low"]]],
    ["unchecked", [["low"], ["high"], ["explicitly low"], ["explicitly high"]]],
    ["none", [[mixed.toString("latin1")]]],
  ] as const)("with aggregation %s", async (aggregation, bodies) => {
    const here = world(1);
    here.control.put("s", "a", mixed);
    const codec = {
      name: "raw",
      decode: (data: Uint8Array) => Buffer.from(data).toString("latin1"),
      encode: () => data,
    };
    const table = await here.table();
    const narrow = { ...table, shards: table.shards.map((entry) => ({ ...entry, hashKeys: low })) };
    const one = reading(here, narrow, { codec, aggregation });
    await idle(one);
    expect(one.bodies()).toEqual(bodies.flat());
  });
  const data = new Uint8Array();

  it("all of them are: the position is behind the aggregate all the same", async () => {
    const here = world(1);
    const { sequenceNumber } = here.control.put("s", "a", aggregate("x", "y"));
    const table = await here.table();
    const narrow = { ...table, shards: table.shards.map((entry) => ({ ...entry, hashKeys: ["3", "3"] as const })) };
    const one = reading(here, narrow);
    await one.step();
    expect(one.taken).toEqual([]);
    expect(one.positions()).toEqual({
      [first]: { kind: "open", position: { kind: "after", sequenceNumber, sub: null, readTo: now } },
    });
  });
});

describe("positions within an aggregate", () => {
  const at = (sequenceNumber: string, sub: number | null): Record<string, At> => ({
    [first]: { kind: "open", position: { kind: "after", sequenceNumber, sub, readTo: now } },
  });

  it("P1 sub is the last user record taken, and null when all are", async () => {
    const here = world(1);
    const before = here.put("before");
    const { sequenceNumber } = here.control.put("s", "k", aggregate("0", "1", "2"));
    const next = here.put("after");
    const one = reading(here, await here.table());
    await one.held();
    const seen: unknown[] = [];
    for (const subs of [null, 0, 1, null]) {
      one.consume(first, turn(1));
      seen.push(subs);
    }
    expect(one.bodies()).toEqual(["before", "0", "1", "2"]);
    expect(one.positions()).toEqual(at(sequenceNumber, null));
    const again = reading(here, await here.table());
    await again.held();
    for (const [number, sub] of [
      [before.sequenceNumber, null],
      [sequenceNumber, 0],
      [sequenceNumber, 1],
      [sequenceNumber, null],
      [next.sequenceNumber, null],
    ] as const) {
      again.consume(first, turn(1));
      expect(again.positions()).toEqual(at(number, sub));
    }
  });

  it("the view tells the place in the aggregate", async () => {
    const here = world(1);
    here.control.put("s", "k", aggregate("0", "1"));
    here.put("plain");
    const one = reading(here, await here.table());
    await one.held();
    const seen: unknown[] = [];
    one.reader.consume(
      first,
      (body, { subSequenceNumber }) => seen.push([body, subSequenceNumber]),
      () => true,
    );
    expect(seen).toEqual([
      ["0", 0],
      ["1", 1],
      ["plain", null],
    ]);
  });

  it("P1 wherever a session ends, its successor goes on with the next user record", async () => {
    const here = world(1, 3);
    const expected: string[] = [];
    for (let n = 0; n < 40; n++) {
      const bodies = Array.from({ length: n % 5 }, (_, sub) => `${n}.${sub}`);
      if (bodies.length === 0) here.put(`${n}`, "key");
      else here.control.put("s", "key", aggregate(...bodies));
      expected.push(...(bodies.length === 0 ? [`${n}`] : bodies));
    }
    let positions: Record<string, At> = {};
    const taken: unknown[] = [];
    let within = 0;
    for (let session = 0; taken.length < expected.length; session++) {
      if (session > 300) throw new Error(`stuck at ${taken.length}`);
      const one = reading(here, await here.table(positions));
      await one.held();
      one.consume(first, turn(1 + (session % 3)));
      if (session % 2 === 0) one.consume(first, turn(2));
      positions = one.positions();
      const { at: found } = { at: positions[first] };
      if (found?.kind === "open" && found.position.kind === "after" && found.position.sub !== null) within++;
      taken.push(...one.bodies());
    }
    expect(taken).toEqual(expected);
    expect(within).toBeGreaterThan(10);
  });

  it("P1 the record is gone: the rest of it is lost, whatever readTo says", async () => {
    const here = world(1);
    const { sequenceNumber } = here.control.put("s", "k", aggregate("0", "1", "2"));
    await here.clock.sleep(10_000);
    here.put("later");
    here.control.trim("s", millis(now + 5_000));
    const one = reading(here, await here.table(at(sequenceNumber, 1)));
    await expect(one.step()).rejects.toMatchObject({ kind: "invalid", message: expect.stringContaining("up to 1") });
    const whole = reading(here, await here.table(at(sequenceNumber, null)));
    await whole.step();
    expect(whole.bodies()).toEqual(["later"]);
    expect(here.clock.now()).toBeLessThan(now + day);
  });

  it("a record that is no aggregate at such a position is told, with the option", async () => {
    const here = world(1);
    const { sequenceNumber } = here.control.put("s", "k", aggregate("0", "1"));
    const one = reading(here, await here.table(at(sequenceNumber, 0)), { aggregation: "none" });
    await expect(one.step()).rejects.toMatchObject({ kind: "invalid", message: expect.stringContaining('"none"') });
  });

  it("what does not decode is told with its place", async () => {
    const here = world(1);
    here.control.put("s", "k", aggregate("0", "1"));
    const codec = {
      name: "no 1",
      decode(data: Uint8Array) {
        if (data[0] === 49) throw new Error("1");
        return "";
      },
      encode: () => new Uint8Array(),
    };
    const one = reading(here, await here.table(), { codec });
    await expect(one.step()).rejects.toThrow("user record 1: it does not decode");
  });
});
