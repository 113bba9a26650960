import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { keyBytes, keyGroupOf, keyGroupOfKey } from "../../lib/model/keys.js";
import { oneBlockBytesMax } from "../../lib/model/md5.js";
import { anyKey } from "./state-samples.js";

const byCrypto = (bytes: Uint8Array): number => createHash("md5").update(bytes).digest().readUInt8(0) >> 1;

describe("K1 key groups without the call into node:crypto", () => {
  it("are those of node:crypto for whatever bytes, up to a block and beyond", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2 * oneBlockBytesMax, size: "max" }), (bytes) => {
        expect(keyGroupOf(bytes)).toBe(byCrypto(bytes));
      }),
      { numRuns: 2_000 },
    );
    for (let length = 0; length <= 70; length += 1) {
      for (const byte of [0x00, 0x7f, 0x80, 0xff]) {
        const bytes = new Uint8Array(length).fill(byte);
        expect(keyGroupOf(bytes)).toBe(byCrypto(bytes));
      }
    }
  });

  it("of a key are those of its bytes", () => {
    const texts = fc.oneof(
      fc.string({ maxLength: 70 }),
      fc.string({ unit: "grapheme", maxLength: 40 }),
      fc.integer({ min: 0, max: 60 }).map((length) => `${"k".repeat(length)}é`),
      fc.integer({ min: 0, max: 60 }).map((length) => "k".repeat(length)),
    );
    fc.assert(
      fc.property(fc.oneof(anyKey, texts, fc.maxSafeInteger()), (key) => {
        expect(keyGroupOfKey(key)).toBe(byCrypto(keyBytes(key)));
      }),
      { numRuns: 3_000 },
    );
  });

  it("of a hundred thousand keys that count up are those of node:crypto", () => {
    const different: (string | number)[] = [];
    for (let n = 0; n < 50_000; n += 1) {
      for (const key of [`flight-${n}`, n * 97]) {
        if (keyGroupOfKey(key) !== byCrypto(keyBytes(key))) different.push(key);
      }
    }
    expect(different).toEqual([]);
  });
});
