// `tidemark plan` as users run it: the file alone is read, and nothing is started.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { endAll, run } from "../fixtures/cli/command.js";
import { countPipeline, newProject, type Project } from "../fixtures/cli/project.js";
import { expectOneMessage } from "../fixtures/cli/refusal.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let project: Project;
beforeAll(() => {
  project = newProject({
    "one.ts": countPipeline({ name: "one" }),
    "four.ts": countPipeline({ name: "four", settings: "parallelism: 4" }),
    "many.ts": countPipeline({ name: "many", settings: "parallelism: 65" }),
  });
});
afterAll(() => {
  endAll();
  project.remove();
});

const plan = (...args: readonly string[]) => run(["plan", ...args], { cwd: project.folder });

it("prints stages as text, JSON or a flowchart, with an endpoint that nobody serves", async () => {
  const env = { AWS_ENDPOINT_URL: "http://127.0.0.1:1" };
  const text = await run(["plan", "four.ts"], { cwd: project.folder, env });
  expect(text).toMatchObject({ code: 0, err: "" });
  expect(text.out).toMatch(/^pipeline "four": 2 stages, 8 tasks, 1 edge\n/);
  expect(text.out).toContain('\nstage 0 "sources", at most 4 tasks\n  source    words   kinesis "words-four"\n');
  const json = await plan("four.ts", "--json");
  expect(json).toMatchObject({ code: 0, err: "" });
  expect(JSON.parse(json.out)).toMatchObject({ pipeline: "four", tasks: 8, edges: [{ name: "count", channels: 16 }] });
  const drawn = await plan("one.ts", "--mermaid");
  expect(drawn).toMatchObject({ code: 0, err: "" });
  expect(drawn.out).toMatch(/^flowchart LR\n {2}subgraph stage0\["main × 1"\]\n/);
  expect(existsSync(join(project.folder, ".tidemark", "cloud"))).toBe(false);
});

it("refuses a pipeline that is none, and two outputs at a time", async () => {
  expectOneMessage(await plan("many.ts"), 1, /parallelism: must be a whole number from 1 to 64, not 65/);
  expectOneMessage(await plan("none.ts"), 1, /there is no file .*none\.ts/);
  const both = await plan("one.ts", "--json", "--mermaid");
  expect(both.code).toBe(2);
  expect(both.err).toContain("option '--json' cannot be used with option '--mermaid'");
});
