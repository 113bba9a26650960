import assert from "node:assert/strict";
import type { Objects } from "../../ports/objects.js";
import { bytesOf, collect, type Test } from "./suite.js";

/** Objects, and two buckets that are empty, for each test. */
export interface OpenObjects {
  readonly objects: Objects;
  readonly bucket: string;
  readonly other: string;
}

interface Case extends OpenObjects {
  readonly put: (key: string, text: string) => Promise<void>;
  /** With sizes, in the order of the list. */
  readonly listed: (prefix: string) => Promise<readonly { readonly key: string; readonly size: number }[]>;
}

type It = (name: string, run: (given: Case) => Promise<void>) => void;

/** What every implementation of Objects must do. */
export function objectsConformance(test: Test, open: () => Promise<OpenObjects>): void {
  const it: It = (name, run) =>
    test(name, async () => {
      const opened = await open();
      const { objects, bucket } = opened;
      await run({
        ...opened,
        put: (key, text) => objects.put(bucket, key, bytesOf(text)),
        listed: (prefix) => collect(objects.list(bucket, prefix)),
      });
    });
  puts(it);
  copies(it);
  removals(it);
  buckets(it);
}

const odd = ["with space", "plus+and%25percent", "é/\u{1f600}", "a=b&c=d;e,f", "year=2026/x%2Fy", "quo\"te's", "a//b"];

function puts(it: It): void {
  it("what was put has its size and is listed at once, in byte order; what was not is absent", async (given) => {
    const { objects, bucket, put, listed } = given;
    assert.equal(await objects.size(bucket, "none"), null);
    assert.deepEqual(await listed(""), []);
    for (const [key, text] of [
      ["b", "1"],
      ["a/2", "22"],
      ["a/10", ""],
      ["a!", "333"],
    ] as const)
      await put(key, text);
    assert.equal(await objects.size(bucket, "a/2"), 2);
    assert.equal(await objects.size(bucket, "a/10"), 0);
    assert.deepEqual(await listed("a"), [
      { key: "a!", size: 3 },
      { key: "a/10", size: 0 },
      { key: "a/2", size: 2 },
    ]);
    assert.deepEqual(
      (await listed("a/")).map(({ key }) => key),
      ["a/10", "a/2"],
    );
  });

  it("R6 a put of the same bytes again changes nothing", async ({ put, listed }) => {
    for (let round = 0; round < 3; round++) await put("a", "same");
    assert.deepEqual(await listed(""), [{ key: "a", size: 4 }]);
  });

  it("a list of more than a thousand is whole and in order, and all of it can be removed at once", async (given) => {
    const { objects, bucket, put, listed } = given;
    const names = Array.from({ length: 1_010 }, (_, index) => `many/${String(index).padStart(5, "0")}`);
    for (let first = 0; first < names.length; first += 50)
      await Promise.all(names.slice(first, first + 50).map((key) => put(key, key)));
    assert.deepEqual(
      (await listed("many/")).map(({ key }) => key),
      names,
    );
    await objects.remove(bucket, names);
    assert.deepEqual(await listed(""), []);
  });
}

function copies(it: It): void {
  it("a copy is the whole object, and leaves the one that it is of", async ({ objects, bucket, put, listed }) => {
    const bytes = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 7 + (index >> 8)) & 0xff);
    await objects.put(bucket, "from", bytes);
    assert.equal(await objects.copy(bucket, "from", "deep/down/to"), "copied");
    assert.deepEqual(await listed(""), [
      { key: "deep/down/to", size: 300_000 },
      { key: "from", size: 300_000 },
    ]);
    await put("short", "text");
    assert.equal(await objects.copy(bucket, "short", "to"), "copied");
    assert.equal(await objects.size(bucket, "to"), 4);
  });

  it("C4 a copy again and again, at the same time too, gives the same object", async ({ objects, bucket, put }) => {
    await put("from", "content");
    const all = await Promise.all([1, 2, 3, 4].map(() => objects.copy(bucket, "from", "to")));
    assert.deepEqual(all, ["copied", "copied", "copied", "copied"]);
    assert.equal(await objects.size(bucket, "to"), 7);
  });

  it("C4 a copy of what is not there is told, and makes nothing", async ({ objects, bucket, put, listed }) => {
    assert.equal(await objects.copy(bucket, "none", "to"), "absent");
    await put("gone", "x");
    await objects.remove(bucket, ["gone"]);
    assert.equal(await objects.copy(bucket, "gone", "to"), "absent");
    assert.deepEqual(await listed(""), []);
  });

  it("keys are any text, for copies too", async ({ objects, bucket, put, listed }) => {
    for (const key of odd) await put(key, key);
    for (const key of odd) assert.equal(await objects.copy(bucket, key, `to/${key}`), "copied");
    for (const key of odd) assert.equal(await objects.size(bucket, `to/${key}`), bytesOf(key).length);
    assert.deepEqual(new Set((await listed("to/")).map(({ key }) => key)), new Set(odd.map((key) => `to/${key}`)));
  });
}

function removals(it: It): void {
  it("removed objects are absent, others stay, and absent ones are no error", async (given) => {
    const { objects, bucket, put, listed } = given;
    for (const key of ["keep", "gone/1", "gone/2", ...odd]) await put(key, "text");
    await objects.remove(bucket, ["gone/1", "gone/2", "never there", ...odd]);
    await objects.remove(bucket, ["gone/1"]);
    await objects.remove(bucket, []);
    assert.equal(await objects.size(bucket, "gone/1"), null);
    assert.deepEqual(await listed(""), [{ key: "keep", size: 4 }]);
  });
}

function buckets(it: It): void {
  it("a bucket knows nothing of another", async ({ objects, bucket, other, put }) => {
    await put("a", "text");
    assert.equal(await objects.size(other, "a"), null);
    assert.equal(await objects.copy(other, "a", "b"), "absent");
    await objects.remove(other, ["a"]);
    assert.equal(await objects.size(bucket, "a"), 4);
    assert.deepEqual(await collect(objects.list(other, "")), []);
  });

  it("a bucket without rules says so", async ({ objects, bucket }) => {
    assert.deepEqual(await objects.rules(bucket), { kind: "known", rules: [] });
  });

  it("what a bucket has to do that does not exist is refused", async ({ objects }) => {
    const none = "a-bucket-that-nobody-has-made";
    const refused = { name: "StreamError", kind: "invalid", message: /a-bucket-that-nobody-has-made.*does not exist/ };
    await assert.rejects(objects.rules(none), refused);
    await assert.rejects(objects.put(none, "a", bytesOf("x")), refused);
    await assert.rejects(collect(objects.list(none, "")), refused);
    await assert.rejects(objects.remove(none, ["a"]), refused);
  });
}
