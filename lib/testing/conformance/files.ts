import assert from "node:assert/strict";
import type { Files } from "../../ports/files.js";
import { bytesOf, type Test, textOf } from "./suite.js";

/** Files, and a folder of theirs that is empty, for each test. */
export interface OpenFiles {
  readonly files: Files;
  readonly folder: string;
}

interface Case extends OpenFiles {
  readonly at: (name: string) => string;
  readonly put: (name: string, text: string, offset?: number) => Promise<void>;
  readonly text: (name: string, range?: readonly [number, number]) => Promise<string | null>;
}

type It = (name: string, run: (given: Case) => Promise<void>) => void;

/** What every implementation of Files must do. */
export function filesConformance(test: Test, open: () => Promise<OpenFiles>): void {
  const it: It = (name, run) => test(name, async () => run(caseOf(await open())));
  reads(it);
  writes(it);
  moves(it);
  folders(it);
}

function caseOf({ files, folder }: OpenFiles): Case {
  const at = (name: string) => `${folder}/${name}`;
  return {
    files,
    folder,
    at,
    put: (name, text, offset = 0) => files.write(at(name), offset, bytesOf(text)),
    async text(name, range) {
      const bytes = await files.read(at(name), range);
      return bytes === null ? null : textOf(bytes);
    },
  };
}

function reads(it: It): void {
  it("an absent file is null, with a range too", async ({ files, at, text }) => {
    assert.equal(await files.stat(at("none")), null);
    assert.equal(await text("none"), null);
    assert.equal(await text("none", [0, 10]), null);
    assert.equal(await text("no-folder/none"), null);
  });

  it("a range is an offset and a length, cut off at the end", async ({ put, text }) => {
    await put("digits", "0123456789");
    assert.equal(await text("digits"), "0123456789");
    assert.equal(await text("digits", [3, 4]), "3456");
    assert.equal(await text("digits", [7, 100]), "789");
    assert.equal(await text("digits", [10, 5]), "");
    assert.equal(await text("digits", [99, 5]), "");
    assert.equal(await text("digits", [4, 0]), "");
  });

  it("the caller's bytes and those of the file are apart", async ({ files, at, text }) => {
    const bytes = bytesOf("before");
    await files.write(at("a"), 0, bytes);
    bytes.fill(0);
    (await files.read(at("a")))?.fill(1);
    assert.equal(await text("a"), "before");
  });

  it("a large file is read as it was written, byte for byte", async ({ files, at }) => {
    const bytes = Uint8Array.from({ length: 3_000_000 }, (_, index) => (index * 7 + (index >> 8)) & 0xff);
    await files.write(at("large"), 0, bytes);
    assert.equal(Buffer.compare((await files.read(at("large"))) ?? Buffer.of(), bytes), 0);
    const range = await files.read(at("large"), [1_000_001, 1_500_000]);
    assert.equal(Buffer.compare(range ?? Buffer.of(), bytes.subarray(1_000_001, 2_500_001)), 0);
    assert.equal((await files.stat(at("large")))?.size, 3_000_000);
  });
}

function writes(it: It): void {
  it("a write again at its offset changes nothing", async ({ put, text }) => {
    for (const [part, offset] of [
      ["abc", 0],
      ["def", 3],
      ["abc", 0],
      ["def", 3],
    ] as const)
      await put("a", part, offset);
    assert.equal(await text("a"), "abcdef");
  });

  it("a write within a file leaves what is around it", async ({ put, text }) => {
    await put("a", "abcdef");
    await put("a", "XY", 2);
    assert.equal(await text("a"), "abXYef");
  });

  it("a gap before the offset is filled with zeros", async ({ put, text }) => {
    await put("a", "end", 3);
    assert.equal(await text("a"), "\0\0\0end");
  });

  it("an empty write makes an empty file, and is no gap", async ({ files, at, put, text }) => {
    await put("a", "", 5);
    assert.equal(await text("a"), "");
    assert.equal((await files.stat(at("a")))?.size, 0);
  });

  it("folders are made as they are needed", async ({ put, text, files, at }) => {
    await put("x/y/z/a", "deep");
    await files.sync(at("x/y/z/a"));
    assert.equal(await text("x/y/z/a"), "deep");
  });

  it("a sync of an absent file is refused, and one of a file leaves it as it is", async ({ files, at, put, text }) => {
    await assert.rejects(files.sync(at("none")), { name: "StreamError", kind: "invalid" });
    await put("a", "abc");
    await files.sync(at("a"));
    await files.sync(at("a"));
    assert.equal(await text("a"), "abc");
  });
}

function moves(it: It): void {
  it("a move replaces what was there, keeps the file's identity, and is done once", async (given) => {
    const { files, at, put, text } = given;
    await put("from", "new");
    await put("to", "old and longer");
    const before = await files.stat(at("from"));
    assert.equal(await files.move(at("from"), at("to")), "moved");
    assert.equal(await text("to"), "new");
    assert.equal(await text("from"), null);
    assert.deepEqual(await files.stat(at("to")), before);
    assert.equal(await files.move(at("from"), at("to")), "absent");
    assert.equal(await text("to"), "new");
  });

  it("a move makes the folders that it needs", async ({ files, at, put, text }) => {
    await put("a", "moved");
    assert.equal(await files.move(at("a"), at("other/folder/b")), "moved");
    assert.equal(await text("other/folder/b"), "moved");
  });

  it("another file is another identity, also under the same name, and a longer one is the same", async (given) => {
    const { files, at, put } = given;
    await put("a", "one");
    await put("b", "two");
    const first = await files.stat(at("a"));
    await put("a", "longer", 3);
    assert.equal((await files.stat(at("a")))?.identity, first?.identity);
    assert.notEqual((await files.stat(at("b")))?.identity, first?.identity);
    await files.move(at("b"), at("a"));
    assert.notEqual((await files.stat(at("a")))?.identity, first?.identity);
  });
}

function folders(it: It): void {
  it("a list has the names of the files of one folder, in byte order", async ({ files, folder, at, put }) => {
    for (const name of ["b", "a0", "a-", "é", "in/side", "c"]) await put(name, name);
    assert.deepEqual(await files.list(folder), ["a-", "a0", "b", "c", "é"]);
    assert.deepEqual(await files.list(at("in")), ["side"]);
    assert.deepEqual(await files.list(at("none")), []);
  });

  it("a removed file is absent, and an absent one is no error", async ({ files, folder, at, put, text }) => {
    await put("a", "a");
    await put("b", "b");
    await files.remove(at("a"));
    await files.remove(at("a"));
    assert.equal(await text("a"), null);
    assert.deepEqual(await files.list(folder), ["b"]);
  });
}
