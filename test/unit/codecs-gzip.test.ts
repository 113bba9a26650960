import { deflateRawSync, deflateSync, gunzipSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { bytes, type Codec, gzip, json, StreamError, text } from "tidemark";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { inflatedBytesMaxDefault } from "../../lib/model/gzip.js";

const utf8 = (written: string) => new TextEncoder().encode(written);

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(StreamError);
    expect((error as StreamError).kind).toBe("invalid");
    return (error as StreamError).message;
  }
  throw new Error("nothing was thrown");
}

describe("gzip", () => {
  it("any bytes come back, compressed by it or by others", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5_000 }), (body) => {
        const codec = gzip(bytes);
        const read = (compressed: Uint8Array) => Uint8Array.from(codec.decode(compressed));
        expect(read(codec.encode(body))).toEqual(body);
        expect(read(deflateSync(body, { level: 1 }))).toEqual(body);
        expect(read(deflateSync(body, { windowBits: 9, level: 9 }))).toEqual(body);
        // Several members, one after the other, are one file (RFC 1952, 2.2).
        expect(read(Buffer.concat([gzipSync(body), gzipSync(body)]))).toEqual(Uint8Array.from([...body, ...body]));
      }),
      { numRuns: 50 },
    );
  });

  it("what is inside is read and written by its own codec", () => {
    const codec = gzip(json(z.object({ id: z.string() })));
    expect(codec.name).toBe("gzip(json)");
    expect(codec.decode(codec.encode({ id: "a" }))).toEqual({ id: "a" });
    expect(gunzipSync(codec.encode({ id: "a" })).toString()).toBe('{"id":"a"}');
    expect(refusal(() => codec.decode(gzipSync('{"id":7}')))).toContain("at id");
  });

  it("a gigabyte of zeros in a megabyte is refused before it is there", () => {
    const part = gzipSync(Buffer.alloc(64 << 20));
    const bomb = Buffer.concat(Array.from({ length: 16 }, () => part));
    const before = process.memoryUsage();
    const message = refusal(() => gzip(text).decode(bomb));
    const after = process.memoryUsage();
    expect(message).toBe(
      `the record (${bomb.length} bytes, compressed) inflates to more than inflatedBytesMax (10485760 bytes); give gzip() a larger inflatedBytesMax if there may be such records`,
    );
    expect(after.rss - before.rss).toBeLessThan(200 << 20);
  });

  it("the limit is what may be inflated to, and not one byte more", () => {
    const codec = gzip(bytes, { inflatedBytesMax: 100_000 });
    for (const compress of [gzipSync, deflateSync]) {
      expect(codec.decode(compress(Buffer.alloc(100_000)))).toHaveLength(100_000);
      expect(refusal(() => codec.decode(compress(Buffer.alloc(100_001))))).toContain(
        "more than inflatedBytesMax (100000",
      );
    }
    expect(refusal(() => codec.encode(new Uint8Array(100_001)))).toContain("the value (100001 bytes) is more than");
    expect(codec.decode(codec.encode(new Uint8Array(100_000)))).toHaveLength(100_000);
    expect(inflatedBytesMaxDefault).toBe(10 * 1024 * 1024);
  });

  it("what is not compressed, damaged, cut off or followed by something is refused without a word of it", () => {
    const whole = gzipSync("secret".repeat(50));
    const damaged = Uint8Array.from(whole);
    damaged[whole.length - 6] = (whole[whole.length - 6] ?? 0) ^ 1;
    const cases: readonly (readonly [Uint8Array, string])[] = [
      [utf8("secret"), "the record (6 bytes) is neither gzip nor zlib"],
      [new Uint8Array(0), "the record (0 bytes) is neither gzip nor zlib"],
      [deflateRawSync("secret"), "is neither gzip nor zlib"],
      [whole.subarray(0, whole.length - 1), "is compressed, and cut off"],
      [whole.subarray(0, 2), "is compressed, and cut off"],
      [damaged, "is compressed, and damaged"],
      [Buffer.concat([whole, utf8("secret")]), "is compressed, and damaged"],
      [Buffer.concat([whole, new Uint8Array(3)]), "goes on after its compressed data"],
      [Buffer.concat([deflateSync("secret"), utf8("s")]), "goes on after its compressed data"],
    ];
    for (const [body, expected] of cases) {
      const message = refusal(() => gzip(text).decode(body));
      expect(message).toContain(expected);
      expect(message).not.toContain("secret");
    }
  });

  it("any damage is refused, or changes nothing", () => {
    const whole = gzipSync("a record that is long enough to be compressed, compressed, compressed");
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const body = Uint8Array.from(whole);
        body[at] = (body[at] ?? 0) ^ change;
        try {
          // Of the header, the time and the system mean nothing.
          expect(gzip(text).decode(body)).toBe(gunzipSync(whole).toString());
        } catch (error) {
          expect((error as StreamError).kind).toBe("invalid");
        }
      }),
    );
  });

  it("options that mean nothing are refused", () => {
    for (const inflatedBytesMax of [0, -1, 1.5, Number.NaN, "1" as unknown as number]) {
      expect(refusal(() => gzip(text, { inflatedBytesMax }))).toContain("must be a whole number of bytes");
    }
    expect(refusal(() => gzip(text, { inflatedBytesMaximum: 1 } as object))).toContain(
      '"inflatedBytesMaximum" is not known',
    );
    expect(refusal(() => gzip({} as Codec<string>))).toContain("is no codec");
  });
});
