import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { fileLog } from "../../lib/connectors/file-log.js";
import { logs } from "../../lib/connectors/logs.js";
import { nodeFiles } from "../../lib/connectors/node-files.js";
import type { Files } from "../../lib/ports/files.js";
import type { LogLines, LogStart } from "../../lib/ports/log.js";
import { memoryFiles } from "../../lib/testing/memory/files.js";

const horizon: LogStart = { kind: "horizon" };

/** A file with this content; what its log gives, block by block. */
async function fileOf(content: string | Uint8Array, files: Files = memoryFiles().files, path = "in.jsonl") {
  const put = (bytes: string | Uint8Array) => files.write(path, 0, Buffer.from(bytes as string));
  await put(content);
  const log = fileLog(files);
  const open = async (start: LogStart): Promise<string> => {
    const found = await log.cursor(path, "lines", start);
    if (found.kind !== "cursor") throw new Error(found.kind);
    return found.cursor;
  };
  const blocks = async (start: LogStart = horizon): Promise<readonly LogLines[]> => {
    const found: LogLines[] = [];
    for (let next: string | null = await open(start); next !== null; ) {
      const read = await log.read(path, next, 10_000);
      if (read.kind !== "lines") throw new Error(read.kind);
      found.push(read);
      next = read.next;
    }
    return found;
  };
  const arn = async () => {
    const found = await log.describe(path);
    return found.kind === "found" ? found.arn : found.kind;
  };
  return { files, path, log, put, open, blocks, arn };
}

const mib = 1 << 20;

describe("blocks", () => {
  it("are whole lines, of about a mebibyte, one behind the other", async () => {
    const line = `${"x".repeat(99)}\n`;
    const content = line.repeat(25_000);
    const found = await (await fileOf(content)).blocks();
    expect(found.map(({ text }) => text).join("")).toBe(content);
    expect(found).toHaveLength(3);
    for (const { bytes, text, offset } of found) {
      expect(offset % 100).toBe(0);
      expect(bytes.length).toBeLessThanOrEqual(mib);
      expect(text?.endsWith("\n")).toBe(true);
    }
  });

  it("a line longer than a block is one block", async () => {
    const lines = ["a", "b".repeat(3 * mib), "c".repeat(2 * mib)];
    const found = await (await fileOf(lines.join("\n"))).blocks();
    expect(found.map(({ text }) => text).join("")).toBe(lines.join("\n"));
    expect(found.map(({ offset }) => offset)).toEqual([0, 2, 2 + 3 * mib + 1]);
  });

  it("a line longer than 64 MiB is told with its offset", async () => {
    // A file of that size is not made for it.
    const size = 65 * mib;
    const files: Files = {
      ...memoryFiles().files,
      stat: async () => ({ size, identity: "1" }),
      read: async (_, [offset, length] = [0, 0]) => Buffer.alloc(Math.min(length, size - offset), "x"),
    };
    const log = fileLog(files);
    const cursor = JSON.stringify({ size, identity: "1", offset: 4 });
    await expect(log.read("in", cursor, 1)).rejects.toThrow("the line at byte 4 is longer than 64 MiB");
  });

  it("the last line needs no end, and a file without bytes no line", async () => {
    const [only] = await (await fileOf('{"a":1}')).blocks();
    expect(only).toMatchObject({ text: '{"a":1}', next: null, offset: 0 });
    const [none, ...others] = await (await fileOf("")).blocks();
    expect([none?.text, none?.next, others]).toEqual(["", null, []]);
  });

  it("a byte order mark belongs to no record", async () => {
    const { blocks } = await fileOf("\ufeffé\nb\n");
    expect((await blocks()).map(({ text, offset }) => [text, offset])).toEqual([["é\nb\n", 3]]);
    for (const [sequenceNumber, text] of [
      ["3", "é\nb\n"],
      ["6", "b\n"],
    ] as const)
      expect((await blocks({ kind: "at", sequenceNumber })).map((block) => block.text)).toEqual([text]);
  });

  it("a mark further on is a character like others", async () => {
    const [block] = await (await fileOf("a\n\ufeffb\n")).blocks();
    expect(block?.text).toBe("a\n\ufeffb\n");
  });

  it.each([
    ["ASCII", "abc\n", "abc\n"],
    ["UTF-8", "é\u{1f600}\n", "é\u{1f600}\n"],
    ["no UTF-8", Buffer.from([0x61, 0xff, 0x0a]), null],
    ["a surrogate in UTF-8", Buffer.from([0xed, 0xa0, 0x80, 0x0a]), null],
  ])("%s: the text is that of the bytes, or null", async (_, content, text) => {
    const [block] = await (await fileOf(content)).blocks();
    expect(block?.text).toBe(text);
    expect(Buffer.from(block?.bytes ?? []).equals(Buffer.from(content as string))).toBe(true);
  });
});

describe("K3 the same file", () => {
  it("K3 is known by its content: a copy is the same, under whatever name", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tidemark-file-log-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const one = await fileOf(`${"line\n".repeat(100_000)}`, nodeFiles(), join(folder, "a"));
    await copyFile(join(folder, "a"), join(folder, "b"));
    const copy = await one.log.describe(join(folder, "b"));
    expect(copy).toMatchObject({ kind: "found", arn: await one.arn() });
    expect(await one.arn()).toMatch(/^file:sha256:[0-9a-f]{64}$/);
  });

  it.each<readonly [string, (lines: string) => string]>([
    ["longer", (lines) => `${lines}line\n`],
    ["shorter", (lines) => lines.slice(0, -5)],
    ["another in its first lines", (lines) => `Line${lines.slice(4)}`],
    ["another in its last lines", (lines) => `${lines.slice(0, -5)}Line\n`],
  ])("K3 one that is %s is another file", async (_, change) => {
    const lines = "line\n".repeat(100_000);
    const before = await (await fileOf(lines)).arn();
    expect(await (await fileOf(change(lines))).arn()).not.toBe(before);
    expect(await (await fileOf(lines)).arn()).toBe(before);
  });

  it("K3 one that grows while it is read is told", async () => {
    const { log, path, open, put } = await fileOf("a\nb\n");
    const cursor = await open(horizon);
    await put("a\nb\nc\n");
    await expect(log.read(path, cursor, 1)).rejects.toMatchObject({
      kind: "invalid",
      message: expect.stringContaining("had 4 bytes and has 6"),
    });
  });

  it("K3 one that is replaced or gone while it is read is told", async () => {
    const { log, path, files, open } = await fileOf("a\nb\n");
    const cursor = await open(horizon);
    await files.write("other", 0, Buffer.from("c\nd\n"));
    await files.move("other", path);
    await expect(log.read(path, cursor, 1)).rejects.toThrow("replaced by another file");
    await files.remove(path);
    await expect(log.read(path, cursor, 1)).rejects.toThrow("is gone");
  });

  it.each(["1", "3", "6", "7", "9007199254740993"])("K3 no line begins at byte %s: told, not guessed", async (at) => {
    const { open } = await fileOf("aé\nbc\n");
    for (const begins of ["0", "4"]) await open({ kind: "at", sequenceNumber: begins });
    await expect(open({ kind: "at", sequenceNumber: at })).rejects.toMatchObject({
      kind: "invalid",
      message: expect.stringContaining(`begins at byte ${at}`),
    });
  });
});

describe("logs", () => {
  it("a stream called file:… is the file of that path, any other goes to the streams", async () => {
    const { log, path } = await fileOf("a\n");
    const asked: string[] = [];
    const heard = async (stream: string): Promise<never> => {
      asked.push(stream);
      throw new Error("heard");
    };
    const both = logs({ describe: heard, shards: heard, cursor: heard, read: heard }, log);
    expect(await both.describe(`file:${path}`)).toMatchObject({ kind: "found" });
    expect(await both.shards(`file:${path}`)).toHaveLength(1);
    const opened = await both.cursor(`file:${path}`, "lines", horizon);
    expect(await both.read(`file:${path}`, opened.kind === "cursor" ? opened.cursor : "", 1)).toMatchObject({
      text: "a\n",
    });
    const arn = "arn:aws:kinesis:us-east-1:000000000000:stream/file";
    await expect(both.describe(arn)).rejects.toThrow("heard");
    await expect(both.read("file", "", 1)).rejects.toThrow("heard");
    expect(asked).toEqual([arn, "file"]);
  });
});
