import assert from "node:assert/strict";
import type { Blobs } from "../../ports/blobs.js";
import { bytesOf, collect, type Test, textOf } from "./suite.js";

/** What every implementation of Blobs must do. `open` gives one that is empty, for each test. */
export function blobsConformance(test: Test, open: () => Promise<Blobs>): void {
  const it: It = (name, run) => test(name, async () => run(await open()));
  puts(it);
  ranges(it);
  lists(it);
  removals(it);
}

type It = (name: string, run: (blobs: Blobs) => Promise<void>) => void;

const text = async (blobs: Blobs, key: string, range?: readonly [number, number]): Promise<string | null> => {
  const bytes = await blobs.get(key, range);
  return bytes === null ? null : textOf(bytes);
};
const keys = async (blobs: Blobs, prefix: string): Promise<string[]> =>
  (await collect(blobs.list(prefix))).map((entry) => entry.key);

function puts(it: It): void {
  it("an absent object is null, with a range too", async (blobs) => {
    assert.equal(await blobs.get("none"), null);
    assert.equal(await blobs.get("none", [0, 10]), null);
    assert.equal(await blobs.get("none", [0, 0]), null);
  });

  it("what was put is read and listed at once, byte for byte", async (blobs) => {
    const bytes = Uint8Array.from({ length: 70_000 }, (_, index) => (index * 7 + (index >> 8)) & 0xff);
    await blobs.put("a/object", bytes);
    assert.equal(Buffer.compare((await blobs.get("a/object")) ?? Buffer.of(), bytes), 0);
    assert.deepEqual(await collect(blobs.list("a/")), [{ key: "a/object", size: 70_000 }]);
  });

  it("an empty object is not an absent one", async (blobs) => {
    await blobs.put("empty", new Uint8Array(0));
    assert.equal(await text(blobs, "empty"), "");
    assert.equal(await text(blobs, "empty", [0, 5]), "");
    assert.deepEqual(await collect(blobs.list("")), [{ key: "empty", size: 0 }]);
  });

  it("R6 the same bytes put again and again are never seen torn or absent", async (blobs) => {
    const bytes = Buffer.alloc(300_000, "0123456789");
    await blobs.put("fact", bytes);
    const write = async () => {
      for (let round = 0; round < 5; round += 1) await blobs.put("fact", bytes);
    };
    const read = async () => {
      for (let round = 0; round < 10; round += 1) {
        const found = await blobs.get("fact");
        assert.ok(found !== null && Buffer.compare(found, bytes) === 0, "a reader saw other bytes");
      }
    };
    await Promise.all([write(), write(), read(), read(), read()]);
  });

  it("a put of other bytes replaces all of the object", async (blobs) => {
    await blobs.put("object", bytesOf("a longer content"));
    await blobs.put("object", bytesOf("short"));
    assert.equal(await text(blobs, "object"), "short");
  });

  it("the caller's bytes and the stored ones are apart", async (blobs) => {
    const bytes = bytesOf("before");
    await blobs.put("object", bytes);
    bytes.fill(0);
    const read = await blobs.get("object");
    read?.fill(1);
    assert.equal(await text(blobs, "object"), "before");
  });

  it("keys are any text", async (blobs) => {
    const odd = ["with space", "plus+and%25percent", "é/\u{1f600}", "a=b&c=d;e,f", "dots..and~tilde", "quo\"te's"];
    for (const key of odd) await blobs.put(key, bytesOf(key));
    for (const key of odd) assert.equal(await text(blobs, key), key);
    assert.deepEqual(new Set(await keys(blobs, "")), new Set(odd));
    await blobs.remove(odd);
    assert.deepEqual(await keys(blobs, ""), []);
  });
}

function ranges(it: It): void {
  it("a range is an offset and a length, cut off at the end", async (blobs) => {
    await blobs.put("digits", bytesOf("0123456789"));
    assert.equal(await text(blobs, "digits", [0, 1]), "0");
    assert.equal(await text(blobs, "digits", [0, 10]), "0123456789");
    assert.equal(await text(blobs, "digits", [3, 4]), "3456");
    assert.equal(await text(blobs, "digits", [9, 1]), "9");
    assert.equal(await text(blobs, "digits", [7, 100]), "789");
  });

  it("a range without bytes is empty, not absent", async (blobs) => {
    await blobs.put("digits", bytesOf("0123456789"));
    assert.equal(await text(blobs, "digits", [4, 0]), "");
    assert.equal(await text(blobs, "digits", [10, 5]), "");
    assert.equal(await text(blobs, "digits", [99, 5]), "");
  });
}

function lists(it: It): void {
  it("a list holds the keys with the prefix, in byte order, with sizes", async (blobs) => {
    const inOrder = ["a!x", "a-b/1", "a/1", "a/10", "a/2", "a/b/c", "a0", "aé", "a\u{ff5e}", "a\u{1f600}"];
    for (const key of [...inOrder].reverse()) await blobs.put(key, bytesOf(key));
    await blobs.put("b/1", bytesOf("other"));
    assert.deepEqual(
      await collect(blobs.list("a")),
      inOrder.map((key) => ({ key, size: bytesOf(key).byteLength })),
    );
    assert.deepEqual(await keys(blobs, "a/"), ["a/1", "a/10", "a/2", "a/b/c"]);
    assert.deepEqual(await keys(blobs, "none"), []);
  });

  it("a list of more than a thousand keys is whole and in order, and all of them can be removed at once", async (blobs) => {
    const names = Array.from({ length: 1_010 }, (_, index) => `many/${String(index).padStart(5, "0")}`);
    for (let first = 0; first < names.length; first += 50) {
      await Promise.all(names.slice(first, first + 50).map((key) => blobs.put(key, bytesOf(key))));
    }
    assert.deepEqual(await keys(blobs, "many/"), names);
    await blobs.remove(names);
    assert.deepEqual(await keys(blobs, ""), []);
  });

  it("a list may be left early", async (blobs) => {
    for (const key of ["1", "2", "3"]) await blobs.put(key, bytesOf(key));
    for await (const entry of blobs.list("")) {
      assert.equal(entry.key, "1");
      break;
    }
    assert.deepEqual(await keys(blobs, ""), ["1", "2", "3"]);
  });
}

function removals(it: It): void {
  it("removed objects are absent, others stay, and absent ones are no error", async (blobs) => {
    for (const key of ["keep", "gone/1", "gone/2"]) await blobs.put(key, bytesOf(key));
    await blobs.remove(["gone/1", "gone/2", "never there"]);
    await blobs.remove(["gone/1"]);
    await blobs.remove([]);
    assert.equal(await blobs.get("gone/1"), null);
    assert.deepEqual(await keys(blobs, ""), ["keep"]);
    assert.equal(await text(blobs, "keep"), "keep");
  });
}
