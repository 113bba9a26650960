import assert from "node:assert/strict";
import { type Registers, registerBytesMax, type Swapped } from "../../ports/registers.js";
import type { Test } from "./suite.js";

/** One for each test, empty in the group that it names. */
export interface OpenRegisters {
  readonly registers: Registers;
  /** Nobody else uses it. */
  readonly group: string;
}

interface Case extends OpenRegisters {
  key(name: string): { readonly group: string; readonly name: string };
}

/**
 * What every implementation of Registers must do.
 *
 * @example registersConformance(test, async () => ({ registers: memoryRegisters().registers, group: "g" }));
 */
export function registersConformance(test: Test, open: () => Promise<OpenRegisters>): void {
  const it = (name: string, run: (given: Case) => Promise<void>) =>
    test(name, async () => {
      const opened = await open();
      await run({ ...opened, key: (name) => ({ group: opened.group, name }) });
    });
  swaps(it);
  races(it);
  lists(it);
  pages(it);
  others(it);
}

type It = (name: string, run: (given: Case) => Promise<void>) => void;

function swaps(it: It): void {
  it("an absent register reads as null", async ({ registers, key }) => {
    assert.equal(await registers.read(key("none")), null);
  });

  it("versions count from 1, one a swap", async ({ registers, key }) => {
    for (const [index, body] of ["first", "second", "third"].entries()) {
      const expected = index === 0 ? null : index;
      assert.deepEqual(await registers.swap(key("head"), expected, body), { kind: "swapped" });
      assert.deepEqual(await registers.read(key("head")), { version: index + 1, body });
    }
  });

  it("a swap from another version changes nothing and carries what is there", async ({ registers, key }) => {
    await registers.swap(key("head"), null, "first");
    await registers.swap(key("head"), 1, "second");
    const current = { version: 2, body: "second" };
    for (const expected of [null, 1, 3]) {
      assert.deepEqual(await registers.swap(key("head"), expected, "mine"), { kind: "conflict", current });
    }
    assert.deepEqual(await registers.read(key("head")), current);
  });

  it("a swap of an absent register from a version conflicts with null", async ({ registers, key }) => {
    assert.deepEqual(await registers.swap(key("none"), 1, "mine"), { kind: "conflict", current: null });
    assert.equal(await registers.read(key("none")), null);
  });
}

function races(it: It): void {
  const racers = Array.from({ length: 100 }, (_, index) => `racer ${index}`);
  const winner = (results: readonly Swapped[]) => {
    const won = racers.filter((_, index) => results[index]?.kind === "swapped");
    assert.equal(won.length, 1, `${won.length} of 100 swaps from one version won`);
    return won[0];
  };

  it("of 100 racing creates one wins, and all learn the winner's body", async ({ registers, key }) => {
    const results = await Promise.all(racers.map((body) => registers.swap(key("head"), null, body)));
    const current = { version: 1, body: winner(results) };
    for (const result of results.filter((each) => each.kind === "conflict")) assert.deepEqual(result.current, current);
    assert.deepEqual(await registers.read(key("head")), current);
  });

  it("of 100 racing swaps from one version one wins", async ({ registers, key }) => {
    await registers.swap(key("head"), null, "before");
    const results = await Promise.all(racers.map((body) => registers.swap(key("head"), 1, body)));
    assert.deepEqual(await registers.read(key("head")), { version: 2, body: winner(results) });
  });

  it("swaps repeated after each conflict lose no increment", async ({ registers, key }) => {
    const [workers, increments] = [5, 6];
    await registers.swap(key("counter"), null, "0");
    const work = async () => {
      for (let done = 0; done < increments; ) {
        const read = await registers.read(key("counter"));
        assert.ok(read !== null);
        const swapped = await registers.swap(key("counter"), read.version, String(Number(read.body) + 1));
        if (swapped.kind === "swapped") done += 1;
      }
    };
    await Promise.all(Array.from({ length: workers }, work));
    const total = workers * increments;
    assert.deepEqual(await registers.read(key("counter")), { version: total + 1, body: String(total) });
  });

  it("racing swaps of different registers do not meet", async ({ registers, key }) => {
    const results = await Promise.all(racers.map((name) => registers.swap(key(name), null, name)));
    assert.ok(results.every((result) => result.kind === "swapped"));
  });
}

function lists(it: It): void {
  it("a list holds the group's names with the prefix, in byte order", async ({ registers, group, key }) => {
    // By UTF-16 the last two would be the other way round.
    const names = ["ack/1", "ack/10", "ack/2", "ack/a b", "ack/é", "ack/\u{ff5e}", "ack/\u{1f600}"];
    for (const name of [...names].reverse()) await registers.swap(key(name), null, `body of ${name}`);
    await registers.swap(key("ack"), null, "no prefix");
    await registers.swap(key("lease/1"), null, "another");
    await registers.swap({ group: `${group}-2`, name: "ack/1" }, null, "another group");

    const expected = names.map((name) => ({ name, register: { version: 1, body: `body of ${name}` } }));
    assert.deepEqual(await registers.list(group, "ack/"), expected);
    const all = await registers.list(group, "");
    assert.deepEqual(
      all.map((entry) => entry.name),
      ["ack", ...names, "lease/1"],
    );
    assert.deepEqual(await registers.list(group, "none"), []);
    assert.deepEqual(await registers.list(`${group}-empty`, ""), []);
    await registers.remove({ group: `${group}-2`, name: "ack/1" });
  });

  it("a list sees every write that was answered before it", async ({ registers, group, key }) => {
    for (let version = 0; version < 20; version += 1) {
      await registers.swap(key("head"), version === 0 ? null : version, `v${version}`);
      const [head] = await registers.list(group, "head");
      assert.deepEqual(head?.register, { version: version + 1, body: `v${version}` });
    }
  });

  it("a list of several megabytes is whole", async ({ registers, group, key }) => {
    const names = Array.from({ length: 12 }, (_, index) => `big/${String(index).padStart(2, "0")}`);
    const body = "x".repeat(250_000);
    for (const name of names) await registers.swap(key(name), null, body);
    const found = await registers.list(group, "big/");
    assert.deepEqual(
      found.map((entry) => entry.name),
      names,
    );
    assert.ok(found.every((entry) => entry.register.body === body));
  });
}

function pages(it: It): void {
  const names = Array.from({ length: 12 }, (_, index) => `note/${String(index).padStart(3, "0")}`);
  const namesOf = (found: readonly { readonly name: string }[]) => found.map(({ name }) => name);

  it("a page holds the first names from one on, at most so many", async ({ registers, group, key }) => {
    for (const name of [...names].reverse()) await registers.swap(key(name), null, `body of ${name}`);
    for (const name of ["note", "note.", "note0", "notes/001"]) await registers.swap(key(name), null, "another");
    const page = async (from: string, limit: number) => namesOf(await registers.list(group, "note/", { from, limit }));
    assert.deepEqual(await page("note/003", 2), ["note/003", "note/004"]);
    assert.deepEqual(await page("note/003", 1), ["note/003"]);
    assert.deepEqual(await page("note/", 3), names.slice(0, 3));
    assert.deepEqual(await page("note/009", 10), names.slice(9));
    assert.deepEqual(await page("note/0", 100), names);
    assert.deepEqual(await page("note/0035", 1), ["note/004"]);
    assert.deepEqual(await page("note/012", 10), []);
    const [first] = await registers.list(group, "note/", { from: "note/007", limit: 1 });
    assert.deepEqual(first, { name: "note/007", register: { version: 1, body: "body of note/007" } });
  });

  it("pages of all names, one behind the other, are the list", async ({ registers, group, key }) => {
    const all = ["a", "b/1", "b/é", "b/\u{ff5e}", "b/\u{1f600}", "c"];
    for (const name of all) await registers.swap(key(name), null, name);
    const found: string[] = [];
    for (let from = ""; ; from = `${found.at(-1)}\u0001`) {
      const page = namesOf(await registers.list(group, "", { from, limit: 2 }));
      found.push(...page);
      if (page.length < 2) break;
    }
    assert.deepEqual(found, all);
    assert.deepEqual(namesOf(await registers.list(group, "b/", { from: "b/é", limit: 9 })), all.slice(2, 5));
  });

  it("a page of several megabytes is whole", async ({ registers, group, key }) => {
    const body = "x".repeat(250_000);
    for (const name of names) await registers.swap(key(name), null, body);
    const found = await registers.list(group, "note/", { from: "note/001", limit: 7 });
    assert.deepEqual(namesOf(found), names.slice(1, 8));
    assert.ok(found.every((entry) => entry.register.body === body));
  });

  it("a page sees every write that was answered before it", async ({ registers, group, key }) => {
    for (const name of names) {
      await registers.swap(key(name), null, name);
      assert.deepEqual(namesOf(await registers.list(group, "note/", { from: name, limit: 2 })), [name]);
    }
  });
}

function others(it: It): void {
  it("a put needs no version, and the last one stays", async ({ registers, group, key }) => {
    await registers.put(key("progress"), "one");
    await registers.put(key("progress"), "two");
    const read = await registers.read(key("progress"));
    assert.equal(read?.body, "two");
    assert.deepEqual(await registers.list(group, "progress"), [{ name: "progress", register: read }]);
  });

  it("a swap from a version that a put has passed conflicts", async ({ registers, key }) => {
    await registers.swap(key("item"), null, "swapped");
    await registers.put(key("item"), "put");
    const swapped = await registers.swap(key("item"), 1, "late");
    assert.equal(swapped.kind, "conflict");
    assert.equal((await registers.read(key("item")))?.body, "put");
  });

  it("a removed register is absent, and removing an absent one is no error", async ({ registers, group, key }) => {
    await registers.swap(key("gone"), null, "body");
    await registers.remove(key("gone"));
    await registers.remove(key("gone"));
    assert.equal(await registers.read(key("gone")), null);
    assert.deepEqual(await registers.list(group, "gone"), []);
    assert.deepEqual(await registers.swap(key("gone"), null, "again"), { kind: "swapped" });
    assert.deepEqual(await registers.read(key("gone")), { version: 1, body: "again" });
  });

  it("every text comes back as it was", async ({ registers, key }) => {
    for (const [index, body] of ["", '{"a":"\\u0000"}', "\u0000\n\r\t", "é\u{1f600}\u2028", " "].entries()) {
      await registers.swap(key(`text/${index}`), null, body);
      assert.equal((await registers.read(key(`text/${index}`)))?.body, body);
    }
  });

  it("256 KiB of UTF-8 fit, and more is refused as invalid", async ({ registers, key }) => {
    // Two bytes each: the limit is of bytes, not of characters.
    const full = "é".repeat(registerBytesMax / 2);
    assert.deepEqual(await registers.swap(key("big"), null, full), { kind: "swapped" });
    assert.equal((await registers.read(key("big")))?.body, full);
    const invalid = { name: "StreamError", kind: "invalid", message: /big/ };
    await assert.rejects(registers.swap(key("big"), 1, `${full}x`), invalid);
    await assert.rejects(registers.put(key("big"), `${full}x`), invalid);
  });
}
