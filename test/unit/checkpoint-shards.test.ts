import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { firstTable, foldShards, needsListing, unfollowed } from "../../lib/checkpoint/shard-table.js";
import { generation, type Millis, millis } from "../../lib/model/ids.js";
import type { Position, ShardEntry, SourceTable } from "../../lib/model/shards.js";
import type { LogShard } from "../../lib/ports/log.js";
import { ack } from "./checkpoint-samples.js";

const t = (n: number) => millis(n);
const hashKeys = ["0", "9"] as const;
const listed = (shardId: string, ...parents: string[]): LogShard => ({ shardId, parents, hashKeys });

const behind = (sequenceNumber: string, readTo: number): Position => ({
  kind: "after",
  sequenceNumber,
  sub: null,
  readTo: t(readTo),
});
const open = (shardId: string, position: Position = behind("5", 50), ...parents: string[]): ShardEntry => ({
  ...listed(shardId, ...parents),
  at: { kind: "open", position },
});
const finished = (readTo: number): ShardEntry["at"] => ({
  kind: "finished",
  generation: generation(1),
  producer: 0,
  sent: {},
  readTo: t(readTo),
});
const ended = (shardId: string, readTo: number, ...parents: string[]): ShardEntry => ({
  ...listed(shardId, ...parents),
  at: finished(readTo),
});

const source = (shards: readonly ShardEntry[], start: Millis | "horizon" = "horizon"): SourceTable => ({
  streamArn: "arn:stream",
  createdAt: t(1),
  start,
  shards,
});

const acking = (...positions: readonly { readonly shardId: string; readonly at: ShardEntry["at"] }[]) => [
  ack({ positions: { flights: positions } }),
];

/** The table of one source after a checkpoint. `list` null: nobody asked. */
function fold(before: SourceTable, acks: ReturnType<typeof acking>, list: readonly LogShard[] | null) {
  const after = foldShards({ flights: before }, acks, list === null ? {} : { flights: list }).flights;
  if (after === undefined) throw new Error("the source is gone");
  return after;
}
const ids = (table: SourceTable) => table.shards.map(({ shardId }) => shardId);

describe("P0 the first table", () => {
  it("P0 roots are the shards whose parents are not listed; their children enter later", () => {
    const list = [listed("l", "p"), listed("m", "p"), listed("p", "gone"), listed("q")];
    expect(ids(firstTable(source([]), list))).toEqual(["p", "q"]);
  });

  it("P0 a merge is no root while one of its parents is listed", () => {
    expect(ids(firstTable(source([]), [listed("c", "p", "q"), listed("q")]))).toEqual(["q"]);
    expect(ids(firstTable(source([]), [listed("c", "p", "q")]))).toEqual(["c"]);
  });

  it("P0 LATEST is a timestamp, and read up to there; the horizon promises nothing yet", () => {
    const at = (start: Millis | "horizon") => firstTable(source([], start), [listed("p")]).shards[0]?.at;
    expect(at(t(70))).toEqual({ kind: "open", position: { kind: "timestamp", at: 70, readTo: 70 } });
    expect(at("horizon")).toEqual({ kind: "open", position: { kind: "horizon", readTo: null } });
  });
});

describe("K3 positions", () => {
  it("K3 an open shard moves to where its ack says", () => {
    const moved = fold(source([open("p")]), acking({ shardId: "p", at: open("p", behind("9", 90)).at }), null);
    expect(moved.shards).toEqual([open("p", behind("9", 90))]);
  });

  it("K3 the table is kept whole: what no ack mentions is carried on, open or finished", () => {
    const before = source([open("p"), ended("q", 40)]);
    expect(fold(before, acking(), null)).toEqual(before);
    expect(fold(before, acking(), [listed("p"), listed("q")])).toEqual(before);
  });

  it("K3 a finished shard stays finished, whatever a later ack says", () => {
    const before = source([ended("q", 40)]);
    expect(fold(before, acking({ shardId: "q", at: open("q").at }), null)).toEqual(before);
    expect(fold(before, acking({ shardId: "q", at: finished(99) }), null)).toEqual(before);
  });

  it("K3 what an ack says of a shard that the table does not hold is not taken over", () => {
    expect(ids(fold(source([open("p")]), acking({ shardId: "x", at: open("x").at }), null))).toEqual(["p"]);
  });

  it("K3 other sources are as they were", () => {
    const tables = { flights: source([open("p")]), weather: source([open("w")]) };
    expect(foldShards(tables, acking(), {}).weather).toEqual(tables.weather);
  });
});

describe("K3 a child enters", () => {
  const split = [listed("p"), listed("l", "p"), listed("m", "p")];

  it("K3 in the checkpoint that holds its parent's end, from its beginning", () => {
    const after = fold(source([open("p")]), acking({ shardId: "p", at: finished(60) }), split);
    expect(ids(after)).toEqual(["l", "m", "p"]);
    expect(after.shards[0]?.at).toEqual({ kind: "open", position: { kind: "beginning", readTo: 60 } });
    expect(after.shards[0]?.parents).toEqual(["p"]);
  });

  it("P0 S0 a child starts at the source's timestamp, not at its beginning", () => {
    const after = fold(source([ended("p", 80)], t(70)), acking(), split);
    expect(after.shards[0]?.at).toEqual({ kind: "open", position: { kind: "timestamp", at: 70, readTo: 80 } });
  });

  it("K3 not while its parent is unfinished, though the parent is no longer listed", () => {
    expect(ids(fold(source([open("p")]), acking(), [listed("l", "p"), listed("m", "p")]))).toEqual(["p"]);
  });

  it("K3 not while its parent is unfinished and listed", () => {
    expect(ids(fold(source([open("p")]), acking(), split))).toEqual(["p"]);
  });

  it("K3 not where no parent of it is in the table", () => {
    expect(ids(fold(source([ended("p", 40)]), acking(), [listed("p"), listed("x", "y"), listed("z")]))).toEqual(["p"]);
  });

  it("K3 a grandchild waits for the child's own end", () => {
    const list = [...split, listed("k", "l")];
    const first = fold(source([ended("p", 40)]), acking(), list);
    expect(ids(first)).toEqual(["l", "m", "p"]);
    expect(ids(fold(first, acking({ shardId: "l", at: finished(60) }), list))).toEqual(["k", "l", "m", "p"]);
  });

  it("K3 an old list is safe: the child enters with a later one", () => {
    const before = source([ended("p", 40)]);
    const late = fold(before, acking(), [listed("p")]);
    expect(late).toEqual(before);
    expect(ids(fold(late, acking(), split))).toEqual(["l", "m", "p"]);
  });
});

describe("K3 a merge", () => {
  const merge = [listed("p"), listed("q"), listed("c", "p", "q")];

  it("K3 enters when both parents are finished, not before", () => {
    expect(ids(fold(source([ended("p", 40), open("q")]), acking(), merge))).toEqual(["p", "q"]);
    expect(ids(fold(source([ended("p", 40), ended("q", 60)]), acking(), merge))).toEqual(["c", "p", "q"]);
  });

  it("P1 it is read up to where its earliest parent was", () => {
    const after = fold(source([ended("p", 60), ended("q", 40)]), acking(), merge);
    expect(after.shards[0]?.at).toMatchObject({ position: { readTo: 40 } });
  });

  it("K3 not while a parent that is not in the table is listed", () => {
    expect(ids(fold(source([ended("p", 40)]), acking(), merge))).toEqual(["p"]);
  });

  it("K3 it enters where the other parent is neither in the table nor listed", () => {
    const after = fold(source([ended("p", 40)]), acking(), [listed("p"), listed("c", "p", "q")]);
    expect(ids(after)).toEqual(["c", "p"]);
    expect(after.shards[0]?.at).toMatchObject({ position: { readTo: 40 } });
  });

  it("K3 not where the unlisted parent is in the table and unfinished", () => {
    const list = [listed("p"), listed("c", "p", "q")];
    expect(ids(fold(source([ended("p", 40), open("q")]), acking(), list))).toEqual(["p", "q"]);
  });
});

describe("K3 a finished entry leaves", () => {
  const l = open("l", behind("7", 70), "p");

  it("K3 when the stream no longer lists it and its children are in", () => {
    const m = open("m", behind("8", 70), "p");
    const list = [listed("l", "p"), listed("m", "p")];
    expect(ids(fold(source([ended("p", 40), l, m]), acking(), list))).toEqual(["l", "m"]);
  });

  it("K3 not while it is listed", () => {
    expect(ids(fold(source([ended("p", 40), l]), acking(), [listed("p"), listed("l", "p")]))).toEqual(["l", "p"]);
  });

  it("K3 not while none of its children is in, even where none is listed: it holds their start", () => {
    const other = open("q", behind("1", 1));
    expect(ids(fold(source([ended("p", 40), other]), acking(), [listed("q")]))).toEqual(["p", "q"]);
  });

  it("K3 not while a listed child of it waits for another parent", () => {
    const list = [listed("l", "p"), listed("c", "p", "q"), listed("q")];
    const before = source([ended("p", 40), l, open("q")]);
    expect(ids(fold(before, acking(), list))).toEqual(["l", "p", "q"]);
  });

  it("K3 an open entry never leaves: that the stream no longer lists it is P1's error", () => {
    expect(ids(fold(source([open("p"), l]), acking(), [listed("l", "p")]))).toEqual(["l", "p"]);
  });

  it("K3 in the same checkpoint in which its child enters and ended", () => {
    const list = [listed("l", "p"), listed("m", "p")];
    expect(ids(fold(source([ended("p", 40)]), acking(), list))).toEqual(["l", "m"]);
  });

  it("K3 an old list does not bring back what has left, nor its children that are in", () => {
    const before = source([open("l", behind("7", 70), "p"), open("m", behind("8", 80), "p")]);
    const old = [listed("p"), listed("l", "p"), listed("m", "p")];
    expect(fold(before, acking(), old)).toEqual(before);
  });
});

describe("K3 P1 a child that came and went between two lists", () => {
  const half = (shardId: string, first: string, last: string, ...parents: string[]): LogShard => ({
    shardId,
    parents,
    hashKeys: [first, last],
  });
  const asOpen = (shard: LogShard): ShardEntry => ({ ...shard, at: { kind: "open", position: behind("5", 50) } });
  // p became l and r; r became x and y, and is no longer listed, nor p.
  const [l, x, y] = [half("l", "0", "4", "p"), half("x", "5", "6", "r"), half("y", "7", "9", "r")];

  it("K3 P1 its parent stays, so that the retention is judged by its end: it is not followed", () => {
    const after = fold(source([ended("p", 50)]), acking(), [l, x, y]);
    expect(ids(after)).toEqual(["l", "p"]);
    expect(unfollowed(after).map(({ shardId }) => shardId)).toEqual(["p"]);
  });

  it("K3 where all of its hash keys are those of later shards it leaves, though a child is gone", () => {
    const after = fold(source([ended("p", 50), asOpen(l), asOpen(x), asOpen(y)]), acking(), [l, x, y]);
    expect(ids(after)).toEqual(["l", "x", "y"]);
    expect(unfollowed(after)).toEqual([]);
  });

  it("K3 the hash keys of its ancestors are none that follow it", () => {
    const before = source([ended("p", 40), { ...half("l", "0", "4", "p"), at: finished(50) }]);
    expect(unfollowed(before).map(({ shardId }) => shardId)).toEqual(["p", "l"]);
  });
});

it("K3 a list that is older than a finished shard does not make it leave: it would come back, and be read again", () => {
  const table = source([ended("l", 40, "p"), open("n", behind("7", 70), "l"), ended("p", 30)]);
  expect(ids(fold(table, acking(), [listed("p")]))).toEqual(["l", "n", "p"]);
  expect(ids(fold(table, acking(), [listed("n", "l")]))).toEqual(["n"]);
});

it("K3 a list is asked for where something is finished, in the table or in an ack", () => {
  const closing = acking({ shardId: "p", at: finished(60) });
  expect(needsListing(source([open("p")]), acking(), "flights")).toBe(false);
  expect(needsListing(source([open("p")]), closing, "flights")).toBe(true);
  expect(needsListing(source([ended("p", 40), open("l")]), acking(), "flights")).toBe(true);
  expect(needsListing(source([open("p")]), closing, "weather")).toBe(false);
});

/** A tree of shards as splits make it: shard n has its parent n >> 1, and both children of a shard are made at once. */
it("K3 P0 whatever lists it meets, a fold never lets a child in before its parent's end, drops no open entry, and ends", () => {
  const depth = 15;
  const tree = Array.from({ length: depth }, (_, i) => i + 1);
  const name = (n: number) => `s${String(n).padStart(2, "0")}`;
  const all = tree.map((n) => (n === 1 ? listed(name(1)) : listed(name(n), name(n >> 1))));
  /** As the stream was at some time, now or before: a shard that was trimmed has its children. */
  const list = (splits: number, trimmed: number, over: ReadonlySet<string>) =>
    all.slice(0, 2 * splits + 1).filter(({ shardId }, i) => i + 1 > Math.min(trimmed, splits) || !over.has(shardId));
  const round = fc.record({ splits: fc.nat(7), trimmed: fc.nat(7), end: fc.nat(depth) });
  fc.assert(
    fc.property(fc.array(round, { maxLength: 30 }), (rounds) => {
      let table = firstTable(source([]), [listed(name(1))]);
      const over = new Set<string>();
      const turn = (splits: number, trimmed: number, end: string) => {
        const before = table;
        const isOpen = before.shards.some((entry) => entry.shardId === end && entry.at.kind === "open");
        if (isOpen) over.add(end);
        const acks = isOpen ? acking({ shardId: end, at: finished(60) }) : acking();
        table = fold(before, acks, list(splits, trimmed, over));
        for (const entry of table.shards) {
          expect(entry.parents.every((parent) => over.has(parent))).toBe(true);
          expect(entry.at.kind).toBe(over.has(entry.shardId) ? "finished" : "open");
        }
        const stillOpen = before.shards.filter(({ shardId }) => !over.has(shardId)).map(({ shardId }) => shardId);
        expect(ids(table)).toEqual(expect.arrayContaining(stillOpen));
      };
      for (const { splits, trimmed, end } of rounds) turn(splits, trimmed, name(end));
      for (const n of tree) turn(7, 0, name(n));
      expect(over.size).toBe(depth);
    }),
  );
});
