import assert from "node:assert/strict";
import type { It } from "./two-phase-case.js";

/** What of the staged is removed, and what is not. */
export function sweeps(it: It): void {
  sweepsItsOwn(it);
  sweepsTasksThatAreGone(it);
}

function sweepsItsOwn(it: It): void {
  it("C4 is corrupt where neither the staged nor the shown is there", async ({
    writer,
    staged,
    commit,
    assertSeen,
  }) => {
    const prepared = await staged(writer("one"), 1, 1);
    await writer("two").sweep([]);
    await assert.rejects(commit(writer("two"), prepared), { name: "StreamError", kind: "corrupt" });
    await assertSeen();
  });

  it("R6 removes what nobody refers to, and keeps what an ack lists", async (given) => {
    const { writer, staged, commit, assertSeen } = given;
    const one = writer("one");
    const kept = await staged(one, 1, 1);
    const lost = await staged(one, 2, 2);
    const next = writer("two");
    await next.sweep([kept]);
    await assert.rejects(commit(next, lost), { kind: "corrupt" });
    await commit(next, kept);
    await assertSeen(1);
  });

  it("R6 never removes its own session's, nor what is shown", async ({ writer, staged, commit, assertSeen }) => {
    const one = writer("one");
    const shown = await staged(one, 1, 1);
    await commit(one, shown);
    const mine = await staged(one, 2, 2);
    await one.sweep([]);
    await commit(one, mine);
    await assertSeen(1, 2);
  });

  it("R6 never removes what a newer generation staged", async ({ writer, staged, commit, assertSeen }) => {
    const next = writer("two", 10);
    const mine = await staged(next, 1, 1);
    await writer("one", 9).sweep([]);
    await commit(next, mine);
    await assertSeen(1);
  });

  it("C2 does not show what a session goes on to stage that was replaced", async (given) => {
    const { writer, staged, commit, assertSeen } = given;
    const [zombie, next] = [writer("one"), writer("two")];
    const shared = await staged(zombie, 1, 1);
    await next.sweep([shared]);
    await staged(zombie, 2, 2);
    await commit(next, shared);
    await commit(next, await staged(next, 3, 3));
    await assertSeen(1, 3);
  });
}

function sweepsTasksThatAreGone(it: It): void {
  it("C4 removes what tasks have staged that are no more, once: where it is the first task's", async (given) => {
    const { writerOf, staged, commit, assertSeen } = given;
    const [other, dead] = [writerOf("1.1", 1), writerOf("1.3", 1)];
    const theirs = await staged(other, 1, 1);
    const [kept, lost] = [await staged(dead, 2, 2), await staged(dead, 3, 3)];
    await writerOf("1.2", 2).sweep([]);
    await commit(other, theirs);
    const [also, first] = [await staged(other, 4, 4), writerOf("1.0", 2, ["1.1", "1.2"])];
    await first.sweep([kept]);
    await assert.rejects(commit(first, lost), { kind: "corrupt" });
    await commit(first, kept);
    await commit(first, also);
    await assertSeen(1, 2, 4);
  });

  it("C4 does not remove what tasks of a newer generation staged, whether it has them or not", async (given) => {
    const { writerOf, staged, commit, assertSeen } = given;
    const newer = writerOf("1.3", 3);
    const theirs = await staged(newer, 1, 1);
    await writerOf("1.0", 2, ["1.1"]).sweep([]);
    await commit(newer, theirs);
    await assertSeen(1);
  });
}
