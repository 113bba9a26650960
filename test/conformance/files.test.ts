import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, test } from "vitest";
import { nodeFiles } from "../../lib/connectors/node-files.js";
import { filesConformance } from "../../lib/testing/conformance/files.js";
import { bytesOf } from "../../lib/testing/conformance/suite.js";
import { memoryFiles } from "../../lib/testing/memory/files.js";

describe("files in memory", () => {
  filesConformance(test, async () => ({ files: memoryFiles().files, folder: "/folder" }));

  it("a crash takes what was neither synced nor moved", async () => {
    const { files, crash, paths } = memoryFiles();
    await files.write("synced", 0, bytesOf("abc"));
    await files.sync("synced");
    await files.write("synced", 3, bytesOf("def"));
    await files.write("new", 0, bytesOf("new"));
    await files.write("from", 0, bytesOf("bytes that were not synced"));
    await files.move("from", "to");
    crash();
    expect(paths()).toEqual(["synced", "to"]);
    expect(Buffer.from((await files.read("synced")) ?? []).toString()).toBe("abc");
    expect((await files.stat("to"))?.size).toBe(0);
  });
});

describe("files of this machine", () => {
  const made: string[] = [];
  afterAll(() => Promise.all(made.map((folder) => rm(folder, { recursive: true, force: true }))));
  const folder = async () => {
    const path = await mkdtemp(join(tmpdir(), "tidemark-files-"));
    made.push(path);
    return path;
  };
  filesConformance(test, async () => ({ files: nodeFiles(), folder: await folder() }));

  it("what cannot be a file is told with its path", async () => {
    const [files, path] = [nodeFiles(), await folder()];
    await files.write(`${path}/file`, 0, bytesOf("x"));
    const invalid = { kind: "invalid", message: expect.stringContaining(path) };
    await expect(files.stat(path)).rejects.toMatchObject(invalid);
    await expect(files.read(path)).rejects.toMatchObject(invalid);
    await expect(files.write(`${path}/file/within`, 0, bytesOf("x"))).rejects.toMatchObject(invalid);
    await expect(files.read(`${path}/a\0b`)).rejects.toMatchObject({ kind: "invalid" });
  });
});
