// Files as sources and sinks under `tidemark dev`: by relative paths, in processes that run in another folder.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { run } from "../fixtures/cli/command.js";
import { testStage } from "../fixtures/cli/stage.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const stage = testStage();

const words = Array.from({ length: 5_000 }, (_, n) => ({ word: `w${n % 40}`, n }));
const pipelineText = `
import { fileSink, fileSource, json, pipeline } from "tidemark";

export default pipeline(
  "files",
  { checkpoint: { interval: "500ms", timeout: "5s" }, session: { reserve: "10s" } },
  (flow) => flow
    .from("words", fileSource({ path: "words", codec: json<{ word: string, n: number }>() }))
    .filter(({ n }) => n % 2 === 0)
    .to("even", fileSink({ folder: "out/even" })),
);
`;

it("lines of a bound file go to files of a relative folder, each once, and the run ends", async () => {
  stage.project.write("files.ts", pipelineText);
  stage.project.write("tidemark.config.ts", 'export default { bindings: { files: { words: "in/words.jsonl" } } };');
  stage.project.write("in/words.jsonl", words.map((word) => JSON.stringify(word)).join("\n"));
  const ended = await run(["dev", "files.ts"], { cwd: stage.project.folder, env: stage.cloud.env });
  expect(ended).toMatchObject({ code: 0, err: "" });
  const folder = join(stage.project.folder, "out", "even");
  const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
  const lines = files.flatMap(({ name }) => readFileSync(join(folder, name), "utf8").trimEnd().split("\n"));
  expect(lines.map((line) => JSON.parse(line).n).sort((a, b) => a - b)).toEqual(
    words.flatMap(({ n }) => (n % 2 === 0 ? [n] : [])),
  );
});

it("a file that is not there is told before the start", async () => {
  stage.project.write("absent.ts", pipelineText.replace('path: "words"', 'path: "nowhere.jsonl"'));
  const ended = await run(["dev", "absent.ts"], { cwd: stage.project.folder, env: stage.cloud.env });
  expect(ended.code).not.toBe(0);
  expect(ended.err).toContain('source "words": there is no "file:nowhere.jsonl"');
});
