import { createHash } from "node:crypto";
import { Encoder } from "cbor-x";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StreamError } from "../../lib/model/errors.js";
import { type Key, keyBytes, keyGroupCount, keyGroupOf } from "../../lib/model/keys.js";

const hex = (key: Key) => Buffer.from(keyBytes(key)).toString("hex");

describe("K1 the bytes of a key", () => {
  it("a string is its UTF-8", () => {
    expect(hex("")).toBe("");
    expect(hex("JFK")).toBe("4a464b");
    expect(hex("ü水𐅑")).toBe("c3bce6b0b4f0908591");
  });

  // RFC 8949, appendix A. Left out: indefinite lengths, maps, byte strings, null and undefined, which are no keys.
  it.each<[Key, string]>([
    [0, "00"],
    [1, "01"],
    [10, "0a"],
    [23, "17"],
    [24, "1818"],
    [25, "1819"],
    [100, "1864"],
    [1000, "1903e8"],
    [1000000, "1a000f4240"],
    [1000000000000, "1b000000e8d4a51000"],
    [-1, "20"],
    [-10, "29"],
    [-100, "3863"],
    [-1000, "3903e7"],
    [18446744073709551616n, "c249010000000000000000"],
    [-18446744073709551617n, "c349010000000000000000"],
    [1.1, "fb3ff199999999999a"],
    [1.5, "f93e00"],
    [3.4028234663852886e38, "fa7f7fffff"],
    [1.0e300, "fb7e37e43c8800759c"],
    [2 ** -24, "f90001"], // 5.960464477539063e-8
    [0.00006103515625, "f90400"],
    [-4.1, "fbc010666666666666"],
    [Number.POSITIVE_INFINITY, "f97c00"],
    [Number.NEGATIVE_INFINITY, "f9fc00"],
    [false, "f4"],
    [true, "f5"],
    [[], "80"],
    [[1, 2, 3], "83010203"],
    [[1, [2, 3], [4, 5]], "8301820203820405"],
    [["a", "IETF", '"\\', "ü", "水", "𐅑"], "86616164494554466222" + "5c62c3bc63e6b0b464f0908591"],
    [Array.from({ length: 25 }, (_, index) => index + 1), "98190102030405060708090a0b0c0d0e0f101112131415161718181819"],
  ])("%s behind 0xFF is canonical CBOR (RFC 8949, appendix A)", (key, cbor) => {
    expect(hex(key)).toBe(`ff${cbor}`);
  });

  it("a number that is whole is an integer, whatever it was written as: 100000.0, 65504.0, -0, -4.0", () => {
    expect([100000.0, 65504.0, -0, -4.0].map(hex)).toEqual(["ff1a000186a0", "ff19ffe0", "ff00", "ff23"]);
    expect(hex(2 ** 53 - 1)).toBe("ff1b001fffffffffffff");
    expect(hex(-(2 ** 53) + 1)).toBe("ff3b001ffffffffffffe");
    // From 2^53 on, where not every integer is a number any more, they are floats.
    expect(hex(2 ** 53)).toBe("fffa5a000000");
  });

  it("floats take the shortest width that holds them: the edges of half and single precision", () => {
    expect(hex(65503.5)).toBe("fffa477fdf80");
    expect(hex(2 ** -24 * 1023)).toBe("fff903ff");
    expect(hex(2 ** -25)).toBe("fffa33000000");
    expect(hex(-(2 ** -14))).toBe("fff98400");
    expect(hex(2 ** -14 * (1 + 2 ** -10))).toBe("fff90401");
    expect(hex(2 ** -14 * (1 + 2 ** -11))).toBe("fffa38801000");
    expect(hex(2047.5)).toBe("fffa44fff000");
    expect(hex(1023.5)).toBe("fff963ff");
    expect(hex(2 ** -149)).toBe("fffa00000001");
    expect(hex(Number.MIN_VALUE)).toBe("fffb0000000000000001");
    expect(hex(Number.MAX_VALUE)).toBe("fffb7fefffffffffffff");
    expect(hex(1 - 2 ** -53)).toBe("fffb3fefffffffffffff");
    expect(hex(0.1)).toBe("fffb3fb999999999999a");
  });

  it("a bigint is always a bignum, without leading zeros", () => {
    expect([0n, 1n, -1n, 255n, 256n, -256n, -257n].map(hex)).toEqual([
      "ffc240",
      "ffc24101",
      "ffc340",
      "ffc241ff",
      "ffc2420100",
      "ffc341ff",
      "ffc3420100",
    ]);
  });

  it("1, '1', 1n, true and [1] are five keys", () => {
    expect(new Set([1, "1", 1n, true, [1]].map((key) => hex(key as Key))).size).toBe(5);
  });

  it("what is no key is refused, also inside an array", () => {
    for (const wrong of [null, undefined, Number.NaN, {}, new Date(0), "\uD800", Symbol("s"), () => {}]) {
      for (const key of [wrong, ["a", wrong]]) {
        expect(() => keyBytes(key as Key)).toThrow(StreamError);
        expect(() => keyBytes(key as Key)).toThrow(/is not a key/);
      }
    }
  });
});

const { key: keys } = fc.letrec<{ key: Key; array: Key[] }>((tie) => ({
  key: fc.oneof(
    { maxDepth: 3 },
    fc.string({ unit: "binary" }),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true }),
    fc.float({ noNaN: true }),
    fc.bigInt(),
    fc.boolean(),
    tie("array"),
  ),
  array: fc.array(tie("key"), { maxLength: 4 }),
}));

/** One text for what JavaScript's `===` holds to be one key, with the type of each part. */
const identity = (key: Key): string =>
  typeof key === "object" ? `[${key.map(identity).join()}]` : `${typeof key}:${JSON.stringify(String(key))}`;

describe("K1 properties", () => {
  it("keys have the same bytes if and only if they are the same", () => {
    fc.assert(
      fc.property(keys, keys, (a, b) => {
        expect(hex(a) === hex(b)).toBe(identity(a) === identity(b));
      }),
      { numRuns: 2_000 },
    );
  });

  it("of 20,000 drawn keys no two have the same bytes", () => {
    const drawn = fc.sample(keys, { numRuns: 20_000, seed: 8949 });
    expect(new Set(drawn.map(hex)).size).toBe(new Set(drawn.map(identity)).size);
  });

  it("another CBOR decoder reads the key again", () => {
    const decoder = new Encoder({ mapsAsObjects: true, useRecords: false, int64AsNumber: true } as object);
    const same = (found: unknown, key: Key): boolean => {
      if (typeof key === "object") {
        return Array.isArray(found) && found.length === key.length && key.every((part, at) => same(found[at], part));
      }
      // Tags 2 and 3 are read as bigints, long integers as numbers or bigints: both say the same number.
      if (typeof key === "number") return Number(found) === key;
      return found === key;
    };
    fc.assert(
      fc.property(
        keys.filter((key) => typeof key !== "string"),
        (key) => {
          const bytes = keyBytes(key);
          expect(bytes[0]).toBe(0xff);
          expect(same(decoder.decode(bytes.subarray(1)), key)).toBe(true);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe("K1 key groups", () => {
  it("known keys", () => {
    // MD5 of "" begins with d4, of "a" with 0c, of "abc" with 90, of "message digest" with f9 (RFC 1321, A.5).
    expect(["", "a", "abc", "message digest"].map((key) => keyGroupOf(keyBytes(key)))).toEqual([
      0xd4 >> 1,
      0x0c >> 1,
      0x90 >> 1,
      0xf9 >> 1,
    ]);
    expect(keyGroupOf(keyBytes(1))).toBe(
      createHash("md5").update(Uint8Array.of(0xff, 0x01)).digest().readUInt8(0) >> 1,
    );
  });

  it("a group is a slice of the hash space that Kinesis cuts into shards", () => {
    // Kinesis: the MD5 of the partition key as a 128-bit integer lies in the HashKeyRange of one shard.
    const width = 2n ** 128n / BigInt(keyGroupCount);
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (partitionKey) => {
        const hash = BigInt(`0x${createHash("md5").update(partitionKey, "utf8").digest("hex")}`);
        const group = BigInt(keyGroupOf(keyBytes(partitionKey)));
        expect(hash >= group * width && hash <= (group + 1n) * width - 1n).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("all groups are used, none much more than others", () => {
    const counts = new Array<number>(keyGroupCount).fill(0);
    for (let n = 0; n < 12_800; n++) {
      const group = keyGroupOf(keyBytes(n));
      counts[group] = (counts[group] ?? 0) + 1;
    }
    expect(counts).toHaveLength(keyGroupCount);
    expect(Math.min(...counts)).toBeGreaterThan(50);
    expect(Math.max(...counts)).toBeLessThan(170);
  });
});
