import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, test } from "vitest";
import { fileLog } from "../../lib/connectors/file-log.js";
import { nodeFiles } from "../../lib/connectors/node-files.js";
import { json, text } from "../../lib/index.js";
import { millis } from "../../lib/model/ids.js";
import { sourceConformance } from "../../lib/testing/conformance/sources.js";
import { memoryFiles } from "../../lib/testing/memory/files.js";
import { memoryLog } from "../../lib/testing/memory/log.js";

const lines = Array.from({ length: 20 }, (_, n) => JSON.stringify({ n, text: "ä\u{1f600}".repeat(n) }));

describe("a stream in memory", () => {
  sourceConformance(test, async () => {
    const { log, control } = memoryLog({ now: () => millis(1_700_000_000_000) });
    control.createStream("numbers", 2);
    for (const [n, line] of lines.entries()) control.put("numbers", `key ${n}`, Buffer.from(line));
    const [first] = await log.shards("numbers");
    control.split("numbers", first?.shardId ?? "");
    for (const [n, line] of lines.entries()) control.put("numbers", `key ${n}`, Buffer.from(line));
    return { log, stream: "numbers", codec: json() };
  });
});

describe("a file in memory", () => {
  sourceConformance(test, async () => {
    const { files } = memoryFiles();
    await files.write("in.jsonl", 0, Buffer.from(lines.join("\r\n\n")));
    return { log: fileLog(files), stream: "in.jsonl", codec: json() };
  });
});

describe("a file of this machine", () => {
  const folders: string[] = [];
  afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

  sourceConformance(test, async () => {
    const folder = await mkdtemp(join(tmpdir(), "tidemark-source-"));
    folders.push(folder);
    const path = join(folder, "in.txt");
    await writeFile(path, `${lines.join("\n")}\n`);
    return { log: fileLog(nodeFiles()), stream: path, codec: text };
  });
});
