import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StreamError } from "../../lib/model/errors.js";
import { deleted, deletedKey } from "../../lib/pipeline/deletion.js";
import type { LogWriter } from "../../lib/pipeline/sink.js";
import { decodeLogBody, LogRowEncoder, logBody } from "../../lib/runtime/log-bodies.js";
import { LogOutput } from "../../lib/runtime/log-output.js";
import { isPressed, needsCut } from "../../lib/runtime/outputs.js";
import { anyValue } from "./state-samples.js";

const writer = (over: Partial<LogWriter> = {}): LogWriter => ({
  target: "t",
  check: async () => {},
  close: async () => {},
  validate: () => {},
  apply: async () => {},
  ...over,
});
const output = (rowsMax = 3, over: Partial<LogWriter> = {}) => new LogOutput({ rowsMax }, writer(over));
const taken = (from: LogOutput) =>
  from.take().map(({ bytes, records }) => {
    const rows = decodeLogBody(bytes);
    expect(rows).toHaveLength(records);
    return rows;
  });

describe("rows of a log", () => {
  it("are cut into segments of so many rows, in their order", () => {
    const log = output(3);
    for (let n = 1; n <= 8; n++) log.add(n);
    expect([log.rows, log.waiting]).toEqual([8, 8]);
    expect(taken(log)).toEqual([
      [1, 2, 3],
      [4, 5, 6],
      [7, 8],
    ]);
    expect([log.rows, log.waiting, log.bytes, taken(log)]).toEqual([8, 0, 0, []]);
  });

  it("are cut into segments of 256 KiB; a larger row has one for itself", () => {
    const log = output(1_000);
    const sizes = [200, 50, 10, 300, 1, 250, 10].map((kilobytes) => kilobytes * 1_024 - 20);
    for (const size of sizes) log.add("x".repeat(size));
    expect(taken(log).map((rows) => rows.map((row) => String(row).length))).toEqual([
      sizes.slice(0, 2),
      sizes.slice(2, 3),
      sizes.slice(3, 4),
      sizes.slice(4, 6),
      sizes.slice(6),
    ]);
  });

  it("Q1 are taken back to the mark, across the ends of segments", () => {
    const log = output(3);
    for (const n of [1, 2]) log.add(n);
    log.mark();
    for (let n = 3; n <= 12; n++) log.add(n);
    log.rollback();
    expect([log.rows, log.waiting]).toEqual([2, 2]);
    log.mark();
    for (const n of [20, 21]) log.add(n);
    log.mark();
    log.add(30);
    log.rollback();
    log.rollback();
    expect(taken(log)).toEqual([[1, 2, 20], [21]]);
    expect(log.bytes).toBe(0);
  });

  it("Q1 give the same segments as without marks, whatever is taken back", () => {
    const steps = fc.array(fc.record({ rows: fc.array(fc.nat(99), { maxLength: 9 }), bad: fc.boolean() }));
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 4 }), (given, rowsMax) => {
        const [marked, plain] = [output(rowsMax), output(rowsMax)];
        for (const { rows, bad } of given) {
          marked.mark();
          for (const row of rows) marked.add(row);
          if (bad) marked.rollback();
          else for (const row of rows) plain.add(row);
        }
        expect([marked.rows, marked.bytes]).toEqual([plain.rows, plain.bytes]);
        expect(taken(marked)).toEqual(taken(plain));
      }),
    );
  });

  it("are what they were when they came: their owner may change them", () => {
    const log = output();
    const row = { n: 1 };
    log.add(row);
    row.n = 2;
    expect(taken(log)).toEqual([[{ n: 1 }]]);
  });

  it("that the sink refuses, or that cannot be kept, leave no trace", () => {
    const log = output(3, {
      validate: (row) => {
        if (row === 13) throw new StreamError("invalid", "no thirteen");
      },
    });
    log.add(1);
    expect(() => log.add(13)).toThrow("no thirteen");
    expect(() => log.add({ deep: { call: () => 1 } })).toThrow(expect.objectContaining({ kind: "invalid" }));
    log.add(2);
    expect(taken(log)).toEqual([[1, 2]]);
  });

  it("B1 call for a checkpoint when there are as many as the target takes in some seconds, or 16 MiB", () => {
    const log = output(10);
    for (let n = 0; n < 5; n++) log.add(n);
    expect([needsCut(log, 6), isPressed(log, 6), needsCut(log, 5), isPressed(log, 5)]).toEqual([
      false,
      false,
      true,
      true,
    ]);
    const large = output(10);
    for (let n = 0; n < 17; n++) large.add("x".repeat(1024 * 1024));
    expect([needsCut(large, 1_000), isPressed(large, 1_000)]).toEqual([true, true]);
    // What an aligned cut waits for is taken, whatever it gives.
    expect(isPressed(large, Number.POSITIVE_INFINITY)).toBe(false);
  });
});

/** Format 1 is never to change: where this fails, the code is wrong, or there is a format 2 beside it. */
describe("segments of a log, format 1", () => {
  const golden = JSON.parse(readFileSync(new URL("../golden/log-rows-1.json", import.meta.url), "utf8")) as {
    readonly hex: string;
  };
  const encoder = new LogRowEncoder();
  const body = (rows: readonly unknown[]) => logBody(rows.map((row) => encoder.encode(row)));
  const rows = [
    { order: "a-1", total: 12.5, paid: true, lines: [{ sku: "x", n: 2 }], when: new Date(1_000) },
    "Zürich",
    2n ** 70n,
    null,
    [["row"], true],
  ];

  it("R6 the bytes are those of the file", () => {
    expect(Buffer.from(body([...rows, deleted({ order: "a-2" })])).toString("hex")).toBe(golden.hex);
  });

  it("the file is read as what was written", () => {
    const found = decodeLogBody(Buffer.from(golden.hex, "hex"));
    expect(found.slice(0, -1)).toEqual(rows);
    expect(deletedKey(found.at(-1))).toEqual({ order: "a-2" });
  });

  it("rows of every kind come back as they were", () => {
    fc.assert(
      fc.property(fc.array(anyValue, { maxLength: 5 }), (given) => {
        expect(decodeLogBody(body(given))).toEqual(given);
      }),
    );
  });

  it("P3 a later format asks for an upgrade; other bytes are no body", () => {
    expect(() => decodeLogBody(new Uint8Array([2]))).toThrow(/format 2: upgrade/);
    expect(() => decodeLogBody(new Uint8Array([1, 5]))).toThrow(expect.objectContaining({ kind: "corrupt" }));
    expect(() => decodeLogBody(new Uint8Array([1, 0x82, 5, 0xf5]))).toThrow(
      expect.objectContaining({ kind: "corrupt" }),
    );
    expect(() => decodeLogBody(new Uint8Array([1, 0x80]))).toThrow(expect.objectContaining({ kind: "corrupt" }));
  });
});
