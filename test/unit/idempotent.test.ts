import { describe, expect, it } from "vitest";
import type { Json } from "../../lib/model/canonical-json.js";
import { StreamError } from "../../lib/model/errors.js";
import { deleted } from "../../lib/pipeline/deletion.js";
import { idempotent, type KeyedWrite } from "../../lib/pipeline/idempotent.js";
import type { Sink } from "../../lib/pipeline/sink.js";
import { twoPhase } from "../../lib/pipeline/two-phase.js";
import { writeAheadLog } from "../../lib/pipeline/write-ahead-log.js";
import { permitFor, writeOf } from "../../lib/testing/conformance/sink-permits.js";
import { memoryResources } from "../../lib/testing/conformance/sink-resources.js";

interface Score {
  readonly player: string;
  readonly points: number;
}
type Player = Pick<Score, "player">;

function scores(fails: (call: number) => Error | null = () => null) {
  const calls: (readonly KeyedWrite<Score, Player>[])[] = [];
  const opened: string[] = [];
  let attempts = 0;
  const sink = idempotent<Score, Player>({
    kind: "scores",
    target: { kind: "database", name: "game" },
    key: ({ player }) => player,
    open({ target }) {
      opened.push(target);
      return {
        validate({ points }) {
          if (points < 0) throw new StreamError("invalid", "no points");
        },
        async apply(writes) {
          const failure = fails(++attempts);
          if (failure !== null) throw failure;
          calls.push(writes);
        },
      };
    },
  });
  if (sink.delivery !== "held") throw new Error("it is held");
  const writer = sink.open(memoryResources({ bind: (kind, name) => `acme-${kind}-${name}` }));
  return { sink, writer, calls, opened };
}

const write = (player: string, seq: number) =>
  writeOf({ key: player, row: { player, points: seq }, checkpoint: Math.ceil(seq / 10), seq });

describe("idempotent", () => {
  it("W1 applies writes in the order of their versions, a thousand at a time", async () => {
    const { writer, calls } = scores();
    const seqs = Array.from({ length: 2_500 }, (_, index) => ((index * 7) % 2_500) + 1);
    await writer.apply(
      writer.target,
      seqs.map((seq) => write(`p${seq}`, seq)),
      permitFor(999),
    );
    expect(calls.map((some) => some.length)).toEqual([1_000, 1_000, 500]);
    expect(calls.flat().map(({ row }) => (row as Score).points)).toEqual(seqs.toSorted((a, b) => a - b));
  });

  it("C2 writes to the target that a row was prepared for, though the binding has changed", async () => {
    const { writer, opened } = scores();
    expect(writer.target).toBe("acme-database-game");
    for (const target of ["old", writer.target, "old"]) await writer.apply(target, [write("a", 1)], permitFor(9));
    expect(opened).toEqual(["old", "acme-database-game"]);
  });

  it("W4 has the attributes of a deletion, and its key; what is refused is refused as a row alone", async () => {
    const { sink, writer, calls } = scores();
    expect(sink.keyOf(deleted({ player: "ann" }) as never)).toBe("ann");
    const gone = writeOf({ key: "ann", row: { player: "ann" }, change: "delete", checkpoint: 1 });
    await writer.apply(writer.target, [gone], permitFor(9));
    expect(calls).toEqual([[{ key: "ann", version: gone.version, change: "delete", row: { player: "ann" } }]]);
    writer.validate(deleted({ player: "ann" }));
    expect(() => writer.validate({ player: "ann", points: -1 })).toThrow("no points");
  });

  it("R5 tries again where the failure may pass; `invalid` it passes on at once, with the target's name", async () => {
    const twice = scores((call) => (call <= 2 ? new TypeError("fetch failed") : null));
    await twice.writer.apply("t", [write("a", 1)], permitFor(9));
    expect(twice.calls).toHaveLength(1);
    const never = scores(() => new StreamError("invalid", "no such column"));
    await expect(never.writer.apply("t", [write("a", 1)], permitFor(9))).rejects.toMatchObject({
      kind: "invalid",
      message: 'scores "t": apply: no such column',
    });
  });
});

const open = () => ({ apply: async () => {} });
const loose = { idempotent, twoPhase, writeAheadLog } as unknown as Record<string, (sink: unknown) => Sink<never>>;

describe("a sink that is described", () => {
  it("has its target in the plan", () => {
    const { kind, config, delivery } = writeAheadLog({
      kind: "ledger",
      config: { currency: "EUR" },
      target: { kind: "database", name: "books" },
      open,
    });
    expect({ kind, config, delivery }).toEqual({
      kind: "ledger",
      delivery: "log",
      config: { currency: "EUR", target: { kind: "database", name: "books" } } satisfies Json,
    });
  });

  it.each<readonly [string, string, unknown, RegExp]>([
    ["no object", "idempotent", 5, /idempotent\(\) must be given an object|must be given an object, not a number/],
    ["no kind", "twoPhase", { open }, /"kind" is missing/],
    ["no open", "writeAheadLog", { kind: "k" }, /writeAheadLog\(\) "k": open: must be a function, not undefined/],
    [
      "secrets that JSON cannot hold",
      "twoPhase",
      { kind: "k", open, config: { at: new Date(0) } },
      /config\.at: is an object of Date|config\.at/,
    ],
    [
      "a target of no kind",
      "idempotent",
      { kind: "k", open, key: String, target: { kind: "queue", name: "q" } },
      /its kind must be table/,
    ],
    [
      "a target without a name",
      "idempotent",
      { kind: "k", open, key: String, target: { kind: "table", name: "" } },
      /its name must be/,
    ],
    ["no key", "idempotent", { kind: "k", open }, /key: must be a function/],
    [
      "an eager one without keyFor",
      "idempotent",
      { kind: "k", open, key: String, delivery: "eager", stableKeys: true },
      /keyFor: must be a function/,
    ],
    [
      "an eager one without the word",
      "idempotent",
      { kind: "k", open, key: String, delivery: "eager", keyFor: String },
      /stableKeys: true/,
    ],
    ["a delivery that is none", "idempotent", { kind: "k", open, key: String, delivery: "log" }, /delivery/],
    [
      "too many rows",
      "writeAheadLog",
      { kind: "k", open, rowsMax: 20_000 },
      /rowsMax must be a whole number from 1 to 10000|rowsMax: must be/,
    ],
  ])("is refused with %s", (_, maker, given, message) => {
    let thrown: unknown;
    try {
      loose[maker]?.(given);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ name: "StreamError", kind: "invalid", message: expect.stringMatching(message) });
  });
});
