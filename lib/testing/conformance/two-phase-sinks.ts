import assert from "node:assert/strict";
import type { Json } from "../../model/canonical-json.js";
import type { TwoPhaseWriter } from "../../pipeline/sink.js";
import { type Random, randomOf } from "../seeded/random.js";
import { patiently, type Test, type Without } from "./suite.js";
import { type Case, caseOf, type It, type OpenTwoPhaseSink } from "./two-phase-case.js";
import { sweeps } from "./two-phase-sweeps.js";

/** What every sink must do that stages rows and shows them by a second step. */
export function twoPhaseSinkConformance(
  test: Test,
  open: () => Promise<OpenTwoPhaseSink>,
  without: Without<"leftovers"> = {},
): void {
  const it: It = (name, run) =>
    test(name, async () => {
      const writers: TwoPhaseWriter[] = [];
      try {
        await run(caseOf(await open(), writers));
      } finally {
        for (const writer of writers) await writer.close();
      }
    });
  stages(it);
  takesBack(it);
  commits(it);
  if (without.leftovers === undefined) sweeps(it);
  for (const seed of seeds) history(it, seed);
}

function stages(it: It): void {
  it("C2 shows nothing before the commit, and all of it after", async ({ writer, staged, commit, assertSeen }) => {
    const one = writer("one");
    await one.check();
    const prepared = await staged(one, 1, 1, 2, 3);
    await assertSeen();
    await commit(one, prepared);
    await assertSeen(1, 2, 3);
  });

  it("B2 has rows after the cut in the next epoch", async ({ writer, row, staged, commit, assertSeen }) => {
    const one = writer("one");
    one.write(row(1));
    const first = one.seal("checkpoint-000001");
    const second = staged(one, 2, 2, 3);
    const { prepared } = (await first?.prepare()) ?? { prepared: null };
    await commit(one, prepared);
    await assertSeen(1);
    await commit(one, await second);
    await assertSeen(1, 2, 3);
  });

  it("seals nothing where no row came", async ({ writer, staged }) => {
    const one = writer("one");
    assert.equal(one.seal("checkpoint-000001"), null);
    await staged(one, 2, 1);
    assert.equal(one.seal("checkpoint-000003"), null);
  });

  it("stages early what it is told to flush", async ({ writer, row, staged, commit, assertSeen }) => {
    const one = writer("one");
    for (let content = 1; content <= 50; content++) one.write(row(content));
    assert.ok(one.waiting > 0);
    await one.flush();
    assert.equal(one.waiting, 0);
    await assertSeen();
    for (let content = 51; content <= 60; content++) one.write(row(content));
    const sealed = one.seal("checkpoint-000001");
    assert.equal(sealed?.records, 60);
    await commit(one, (await sealed?.prepare())?.prepared ?? null);
    await assertSeen(...Array.from({ length: 60 }, (_, index) => index + 1));
    await staged(one, 2, 61);
  });
}

function takesBack(it: It): void {
  it("takes back the rows since the mark", async ({ writer, row, commit, assertSeen }) => {
    const one = writer("one");
    one.write(row(1));
    one.mark();
    one.write(row(2));
    one.write(row(3));
    one.rollback();
    one.mark();
    one.write(row(4));
    one.mark();
    one.rollback();
    const sealed = one.seal("checkpoint-000001");
    assert.equal(sealed?.records, 2);
    await commit(one, (await sealed?.prepare())?.prepared ?? null);
    await assertSeen(1, 4);
  });
}

function commits(it: It): void {
  it("C2 shows the same when a commit is repeated, by whomever", async ({ writer, staged, commit, assertSeen }) => {
    const prepared = await staged(writer("one"), 1, 1, 2);
    for (const session of ["one", "two", "three"]) await commit(writer(session), prepared);
    await assertSeen(1, 2);
  });

  it("C2 shows the same when several commit at once", async ({ writer, staged, commit, assertSeen }) => {
    const prepared = await staged(writer("one"), 1, 1, 2);
    const sessions = ["two", "three", "four", "five"];
    // Of those that meet, one may lose, and says so: it comes again.
    const results = await Promise.allSettled(sessions.map((session) => commit(writer(session), prepared)));
    assert.ok(results.some(({ status }) => status === "fulfilled"));
    await commit(writer("six"), prepared);
    await assertSeen(1, 2);
  });

  it("C4 finds nothing wrong when the staged is gone because it is shown", async (given) => {
    const { writer, staged, commit, assertSeen } = given;
    const prepared = await staged(writer("one"), 1, 1);
    await commit(writer("one"), prepared);
    await writer("two").sweep([]);
    await commit(writer("two"), prepared);
    await assertSeen(1);
  });

  it("C2 shows epochs one by one, those of a restored checkpoint under their own names", async (given) => {
    const { writer, staged, commit, assertSeen } = given;
    const one = writer("one");
    const [first, second] = [await staged(one, 1, 1), await staged(one, 2, 2)];
    await commit(writer("two"), first);
    await assertSeen(1);
    await commit(writer("two"), second);
    await commit(writer("two"), first);
    await assertSeen(1, 2);
  });
}

const seeds = Array.from({ length: 8 }, (_, index) => index + 1);
const stepsPerHistory = 15;

/** A checkpoint for each step: sessions die before their ack and after it, calls are lost, zombies commit again what was committed. */
function history(it: It, seed: number): void {
  it(`C2 R5 shows the epochs that are complete, each once, after any history (seed ${seed})`, async (given) => {
    const random = randomOf(`two-phase sink ${seed}`);
    const committed: Json[] = [];
    const contents: number[] = [];
    let sessions = 1;
    let [session, zombie] = [given.writer("1", 2), given.writer("0", 1)];
    const restart = async (listed: readonly Json[]) => {
      [zombie, session] = [session, given.writer(String(++sessions), 1 + sessions)];
      await patiently(() => session.sweep(listed));
    };
    for (let step = 1; step <= stepsPerHistory; step++) {
      const prepared = await prepare(given, session, random, step);
      await given.assertSeen(...contents);
      // It died before its ack: no checkpoint lists what it prepared.
      if (prepared === null || random.chance(0.2)) {
        await restart(committed);
        continue;
      }
      if (random.chance(0.3)) await restart([...committed, prepared]);
      const again = committed.length === 0 ? null : random.pick(committed);
      if (again !== null && random.chance(0.5)) await given.commit(zombie, again).catch(() => undefined);
      await patiently(async () => {
        if (random.chance(0.4)) given.losses?.lose(random.pick(["request", "answer", "late"]));
        await given.commit(session, prepared);
      });
      committed.push(prepared);
      contents.push(step);
      await given.assertSeen(...contents);
    }
    await given.losses?.arrive();
    await given.assertSeen(...contents);
  });
}

/** null: its session failed on the way. */
async function prepare(given: Case, writer: TwoPhaseWriter, random: Random, step: number): Promise<Json | null> {
  if (random.chance(0.2)) given.losses?.lose(random.pick(["request", "answer", "late"]));
  try {
    return await given.staged(writer, step, step);
  } catch {
    return null;
  }
}
