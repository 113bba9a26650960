import { Decoder } from "cbor-x";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CborReader } from "../../lib/state/cbor-reader.js";
import { CborWriter, valueDepthMax } from "../../lib/state/cbor-writer.js";
import { anyValue } from "./state-samples.js";

function written(value: unknown): Uint8Array {
  const writer = new CborWriter();
  writer.value(value);
  return writer.take();
}
const hexOf = (value: unknown): string => Buffer.from(written(value)).toString("hex");
const back = (value: unknown): unknown => new CborReader(written(value)).value();

describe("values in state, as CBOR", () => {
  it("come back as they were, whatever they are", () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        expect(back(value)).toStrictEqual(value);
      }),
      { numRuns: 1_000 },
    );
  });

  it("are written as RFC 8949 gives them in its appendix A", () => {
    const examples: readonly (readonly [unknown, string])[] = [
      [0, "00"],
      [23, "17"],
      [24, "1818"],
      [1_000, "1903e8"],
      [1_000_000, "1a000f4240"],
      [1_000_000_000_000, "1b000000e8d4a51000"],
      [-1, "20"],
      [-1_000, "3903e7"],
      [18446744073709551616n, "c249010000000000000000"],
      [-18446744073709551617n, "c349010000000000000000"],
      [-0, "f98000"],
      [1.1, "fb3ff199999999999a"],
      [100_000.5, "fa47c35040"],
      [3.4028234663852886e38, "fa7f7fffff"],
      [1.0e300, "fb7e37e43c8800759c"],
      [Number.POSITIVE_INFINITY, "f97c00"],
      [Number.NaN, "f97e00"],
      [Number.NEGATIVE_INFINITY, "f9fc00"],
      [false, "f4"],
      [true, "f5"],
      [null, "f6"],
      [undefined, "f7"],
      [new Date(1_363_896_240_500), "c1fb41d452d9ec200000"],
      [new Date(1_363_896_240_000), "c11a514b67b0"],
      [Uint8Array.of(1, 2, 3, 4), "4401020304"],
      ["", "60"],
      ["IETF", "6449455446"],
      ["ü", "62c3bc"],
      ["水", "63e6b0b4"],
      ["𐅑", "64f0908591"],
      [[1, [2, 3], [4, 5]], "8301820203820405"],
      [{ a: 1, b: [2, 3] }, "a26161016162820203"],
    ];
    for (const [value, hex] of examples) expect(hexOf(value)).toBe(hex);
  });

  it("keep a member named __proto__, and no object gets another prototype by it", () => {
    const value: unknown = JSON.parse('{"__proto__": {"admin": true}, "constructor": 1, "toString": 2}');
    const copy = back(value) as Record<string, unknown>;
    expect(Object.keys(copy)).toEqual(["__proto__", "constructor", "toString"]);
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
    expect(copy.admin).toBeUndefined();
  });

  it("keep dates to the millisecond, to the ends of time, and invalid ones", () => {
    for (const time of [-4482056520715886, 8.64e15, -8.64e15, 8.64e15 - 1, -8.64e15 + 1, -1, 1, 0, Number.NaN]) {
      expect((back(new Date(time)) as Date).getTime()).toBe(time);
    }
  });

  it("come back with the ordinary prototype where they had none, and as Uint8Array where they were a Buffer", () => {
    expect(back(Object.assign(Object.create(null), { a: 1 }))).toStrictEqual({ a: 1 });
    expect(back(Buffer.from("a"))).toStrictEqual(Uint8Array.of(97));
  });

  it("keep strings that were cut inside a character", () => {
    const cut = `${"ab😀".slice(0, 3)}c\ud800\udbff水`;
    expect(back(cut)).toBe(cut);
    expect(hexOf("\ud83d")).toBe("d9011143eda0bd");
  });

  it("may refer to one thing twice: it is written twice", () => {
    const zone = { name: "UTC" };
    expect(back([zone, zone])).toEqual([{ name: "UTC" }, { name: "UTC" }]);
  });

  it("are refused, with a reason, where they would not come back", () => {
    class Flight {}
    class Rows extends Array {}
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    const refusals: readonly (readonly [unknown, RegExp])[] = [
      [new Flight(), /an instance of class Flight cannot be kept/],
      [{ deep: [new Flight()] }, /an instance of class Flight/],
      [Rows.of(1), /an instance of class Rows/],
      [/x/, /an instance of class RegExp/],
      [new Error("x"), /an instance of class Error/],
      [new Float64Array(1), /an instance of class Float64Array/],
      [Promise.resolve(), /an instance of class Promise/],
      [() => 1, /a function cannot be kept/],
      [Symbol("x"), /a symbol cannot be kept/],
      [{ [Symbol("x")]: 1 }, /a member named by a symbol/],
      [circle, /a value that refers to itself, or nests deeper than 256/],
    ];
    for (const [value, message] of refusals) {
      expect(() => written(value)).toThrow(
        expect.objectContaining({ kind: "invalid", message: expect.stringMatching(message) }),
      );
    }
  });

  it("nest as deep as the limit, and not deeper", () => {
    const nested = (depth: number): unknown => (depth === 0 ? 0 : [nested(depth - 1)]);
    expect(back(nested(valueDepthMax))).toEqual(nested(valueDepthMax));
    expect(() => written(nested(valueDepthMax + 1))).toThrow(/nests deeper/);
  });

  it("stay below the limit of bytes", () => {
    const writer = new CborWriter({ bytesMax: 10_000 });
    writer.value("x".repeat(9_000));
    expect(() => writer.value("x".repeat(1_000))).toThrow(expect.objectContaining({ kind: "invalid" }));
  });

  it("can be read by another library", () => {
    const value = {
      text: "水",
      list: [1, -1, 2.5, null, true],
      at: new Date(1_500),
      bytes: Uint8Array.of(7),
      set: new Set([1]),
    };
    const decoded: unknown = new Decoder({ mapsAsObjects: true, useRecords: false }).decode(
      Buffer.from(written(value)),
    );
    expect(decoded).toEqual({ ...value, bytes: Buffer.of(7) });
  });

  it("are corrupt where they end early or are not ours", () => {
    const corrupt = expect.objectContaining({ kind: "corrupt" });
    const bytes = written({
      name: "a long enough text to be cut",
      list: [1.5, 2n ** 70n, new Date(1), Uint8Array.of(1, 2)],
    });
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => new CborReader(bytes.subarray(0, length)).value()).toThrow(corrupt);
    }
    for (const hex of ["9f01ff", "d82a01", "f0", "a10102", "c2f6", "c16161", "1c"]) {
      expect(() => new CborReader(Buffer.from(hex, "hex")).value()).toThrow(corrupt);
    }
  });
});
