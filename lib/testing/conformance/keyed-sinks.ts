import assert from "node:assert/strict";
import { invariant } from "../../model/errors.js";
import { deletedKey } from "../../pipeline/deletion.js";
import type { EagerSink, HeldSink, HeldWrite, Sink, SinkResources } from "../../pipeline/sink.js";
import { type Random, randomOf } from "../seeded/random.js";
import type { Losses } from "./sink-losses.js";
import { permitFor, type WriteOf, writeOf } from "./sink-permits.js";
import type { Test, Without } from "./suite.js";

/** A sink over a target that nobody else uses, and that is empty, for each test. */
export interface OpenKeyedSink {
  readonly sink: Sink<never>;
  readonly resources: SinkResources;
  /** A row that the sink takes; rows with one key differ in their content. */
  row(key: string, content: number): unknown;
  /** Instead of a row: that of this key goes, as `deleted` makes it. Not called where the feature is left out. */
  deletion(key: string): unknown;
  /** What a reader of the target sees, as `row` made it, in any order. */
  seen(): Promise<readonly unknown[]>;
  /** How calls of the sink to its target are lost: {@link lossyResources} for one that writes by ports, else {@link lossyWay}. Without it none are. */
  readonly losses?: Losses;
}

interface Case extends Omit<OpenKeyedSink, "sink"> {
  readonly sink: HeldSink<never> | EagerSink<never>;
  /** Writes as a session does that has seen checkpoint 9 complete: one that a session before it may have made already. */
  apply(...writes: readonly HeldWrite[]): Promise<void>;
  write(key: string, content: number, of: Omit<WriteOf, "key" | "row" | "change">): HeldWrite;
  remove(key: string, of: Omit<WriteOf, "key" | "row" | "change">): HeldWrite;
  assertSeen(...rows: readonly unknown[]): Promise<void>;
}

type It = (name: string, run: (given: Case) => Promise<void>) => void;

/**
 * What every sink of rows by key must do, held or eager: writes may be repeated, may come late, and may come from a session that
 * is dead to everybody else.
 *
 * @example keyedSinkConformance(test, async () => openMySink());
 */
export function keyedSinkConformance(
  test: Test,
  open: () => Promise<OpenKeyedSink>,
  without: Without<"deletions" | "strangers"> = {},
): void {
  const it: It = (name, run) => test(name, async () => run(caseOf(await open())));
  repeats(it);
  orders(it);
  covered(it);
  if (without.strangers === undefined) strangers(it);
  for (const seed of seeds) history(it, seed);
  if (without.deletions === undefined) deletions(it);
}

function caseOf(opened: OpenKeyedSink): Case {
  const { sink, resources } = opened;
  invariant(sink.delivery === "held" || sink.delivery === "eager", "the sink is one of rows by key");
  const keyOf = (row: unknown) => sink.keyOf(row as never);
  return {
    ...opened,
    sink,
    async apply(...writes) {
      if (sink.delivery === "eager") {
        const writer = sink.open(resources);
        return writer.put(writes).finally(() => writer.close());
      }
      const writer = sink.open(resources);
      return writer.apply(writer.target, writes, permitFor(9)).finally(() => writer.close());
    },
    write(key, content, of) {
      const row = opened.row(key, content);
      return writeOf({ ...of, key: keyOf(row), row });
    },
    remove(key, of) {
      const row = deletedKey(opened.deletion(key));
      assert.ok(row !== null, "deletion() gives what deleted() makes");
      return writeOf({ ...of, key: keyOf(row), row, change: "delete" });
    },
    async assertSeen(...rows) {
      const order = (all: readonly unknown[]) => all.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
      assert.deepEqual(order(await opened.seen()), order(rows));
    },
  };
}

function repeats(it: It): void {
  it("finds its target, and shows nothing before it is written", async ({ sink, resources, assertSeen }) => {
    await sink.open(resources).check();
    await assertSeen();
  });

  it("tells rows apart by their key alone", async ({ sink, row }) => {
    const keyOf = (key: string, content: number) => sink.keyOf(row(key, content) as never);
    assert.equal(keyOf("a", 1), keyOf("a", 2));
    assert.notEqual(keyOf("a", 1), keyOf("b", 1));
  });

  it("C2 shows the same when the same writes are applied again", async ({ apply, write, row, assertSeen }) => {
    const writes = [write("a", 1, { checkpoint: 1, seq: 1 }), write("b", 2, { checkpoint: 1, seq: 2 })];
    for (let times = 0; times < 3; times++) {
      await apply(...writes);
      await assertSeen(row("a", 1), row("b", 2));
    }
  });

  it("W1 replaces a row by a newer one, whole", async ({ apply, write, row, assertSeen }) => {
    await apply(write("a", 1, { checkpoint: 1 }), write("b", 1, { checkpoint: 1, seq: 2 }));
    await apply(write("a", 2, { checkpoint: 2 }));
    await assertSeen(row("a", 2), row("b", 1));
  });
}

function orders(it: It): void {
  it("W1 takes nothing back when an older write comes late, and finds nothing wrong with it", async (given) => {
    const { apply, write, row, assertSeen } = given;
    await apply(write("a", 2, { checkpoint: 2 }));
    await apply(write("a", 1, { checkpoint: 1, seq: 9 }));
    await assertSeen(row("a", 2));
  });

  it("W1 shows the newest of one checkpoint by its seq", async ({ apply, write, row, assertSeen }) => {
    await apply(write("a", 300, { checkpoint: 1, seq: 300 }));
    await apply(write("a", 5, { checkpoint: 1, seq: 5 }));
    await assertSeen(row("a", 300));
  });

  it("W1 shows the newest, whatever the order in which they come", async ({ apply, write, row, assertSeen }) => {
    const versions = [1, 2, 3, 4].map((checkpoint) => ({ checkpoint }));
    for (const [index, order] of permutations(versions).entries()) {
      for (const of of order) await apply(write(`key ${index}`, of.checkpoint, of));
    }
    await assertSeen(...permutations(versions).map((_, index) => row(`key ${index}`, 4)));
  });

  it("W1 shows the newest when all come at once", async ({ apply, write, row, assertSeen }) => {
    const checkpoints = [3, 1, 4, 2, 6, 5, 8, 7];
    await Promise.all(checkpoints.map((checkpoint) => apply(write("a", checkpoint, { checkpoint }))));
    await assertSeen(row("a", 8));
  });
}

function strangers(it: It): void {
  it("W1 refuses to replace what another pipeline wrote", async ({ apply, write, row, assertSeen }) => {
    await apply(write("a", 1, { checkpoint: 1, incarnation: "000000000001" }));
    await assert.rejects(apply(write("a", 2, { checkpoint: 2 })), { name: "StreamError", kind: "invalid" });
    await assertSeen(row("a", 1));
  });
}

function covered(it: It): void {
  it("C2 writes nothing that no complete checkpoint covers", async (given) => {
    const { sink, apply, write, assertSeen } = given;
    // What is eager is written before the checkpoint: that is what the word says.
    if (sink.delivery === "eager") return;
    await assert.rejects(apply(write("a", 1, { checkpoint: 10 })), { name: "StreamError", kind: "bug" });
    await assertSeen();
  });
}

function deletions(it: It): void {
  it("W4 removes a row, and an older write does not bring it back", async (given) => {
    const { apply, write, remove, row, assertSeen } = given;
    await apply(write("a", 1, { checkpoint: 1 }), write("b", 1, { checkpoint: 1, seq: 2 }));
    await apply(remove("a", { checkpoint: 3 }));
    await assertSeen(row("b", 1));
    await apply(write("a", 2, { checkpoint: 2 }));
    await assertSeen(row("b", 1));
    await apply(write("a", 4, { checkpoint: 4 }));
    await assertSeen(row("a", 4), row("b", 1));
  });

  it("W4 removes what never was, and twice", async ({ apply, remove, assertSeen }) => {
    await apply(remove("a", { checkpoint: 1 }));
    await apply(remove("a", { checkpoint: 1 }));
    await assertSeen();
  });
}

const permutations = <T>(items: readonly T[]): readonly (readonly T[])[] =>
  items.length < 2
    ? [items]
    : items.flatMap((first, at) => permutations(items.toSpliced(at, 1)).map((rest) => [first, ...rest]));

const seeds = Array.from({ length: 8 }, (_, index) => index + 1);
const stepsPerHistory = 20;

/** Writes of three keys in the order of their versions; calls are lost, and what was written before is written again, by sessions old and new. */
function history(it: It, seed: number): void {
  it(`W1 R5 shows the newest row of each key after any history (seed ${seed})`, async (given) => {
    const random = randomOf(`keyed sink ${seed}`);
    const newest = new Map<string, number>();
    const done: HeldWrite[] = [];
    for (let step = 1; step <= stepsPerHistory; step++) {
      const key = random.pick(["a", "b", "c"]);
      const write = given.write(key, step, { checkpoint: Math.ceil(step / 3), seq: step });
      newest.set(key, step);
      await patiently(given, random, write, done);
      done.push(write);
      await given.assertSeen(...[...newest].map(([name, content]) => given.row(name, content)));
    }
    await given.losses?.arrive();
    await given.assertSeen(...[...newest].map(([name, content]) => given.row(name, content)));
  });
}

async function patiently(given: Case, random: Random, write: HeldWrite, done: readonly HeldWrite[]): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    if (attempt < 10 && random.chance(0.4)) given.losses?.lose(random.pick(["request", "answer", "late"]));
    const again = random.chance(0.5) ? done.slice(random.int(done.length + 1)).slice(0, 3) : [];
    const zombie = given.apply(...again).catch(() => undefined);
    try {
      await given.apply(write);
      return;
    } catch (error) {
      if (attempt === 10) throw error;
    } finally {
      await zombie;
    }
  }
}
