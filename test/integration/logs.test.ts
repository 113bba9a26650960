// `tidemark logs` where there is nothing that it could read: it says where the logs are.
import { expect, it, vi } from "vitest";
import { run } from "../fixtures/cli/command.js";
import { countPipeline } from "../fixtures/cli/project.js";
import { expectOneMessage } from "../fixtures/cli/refusal.js";
import { testStage } from "../fixtures/cli/stage.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const stage = testStage();

it("logs says of a pipeline on this machine that dev prints them", async () => {
  stage.project.write("here.ts", countPipeline({ name: "here" }));
  const where = /"here" is looked for on this machine.*output of "tidemark dev"/;
  expectOneMessage(await stage.tidemark("logs", "here.ts"), 1, where);
  expectOneMessage(await run(["logs", "here.ts", "--json"], { cwd: stage.project.folder }), 1, where);
});

it("logs refuses what is no task and no duration", async () => {
  for (const [option, given] of [
    ["--task", "first"],
    ["--since", "yesterday"],
  ] as const)
    expect(await stage.tidemark("logs", "here.ts", option, given)).toMatchObject({ code: 2, out: "" });
});
