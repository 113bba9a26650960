// How `tidemark dev` ends, and how the next one goes on: Ctrl-C at every stage, on its embedded cloud.
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, describe, expect, it, vi } from "vitest";
import { countsOf, feed, someWords } from "../fixtures/cli/cloud.js";
import { endAll, groupOf, nothingIsLeft } from "../fixtures/cli/command.js";
import { dev, endpointOf, generationOf, keptTotals } from "../fixtures/cli/dev.js";
import { countPipeline } from "../fixtures/cli/project.js";
import { testProjects } from "../fixtures/cli/stage.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const newProject = testProjects();
const projectWith = (text: string) => newProject({ "pipeline.ts": text });
afterEach(() => endAll());

describe("Ctrl-C", () => {
  it.each(["group", "alone"] as const)("to the %s stops at a checkpoint, and the next dev goes on", async (whom) => {
    const project = projectWith(countPipeline({ name: "stops" }));
    const words = someWords(1_500, 30);
    const first = dev(project);
    await feed(await endpointOf(first), "words-stops", words.slice(0, 1_000));
    await first.event("status", ({ records }) => records > 0);
    first.signal("SIGINT", whom);
    const ended = await first.ended;
    expect(ended).toMatchObject({ code: 0, signal: null });
    expect(ended.err.trim()).toBe("stopping at a checkpoint; Ctrl-C again ends at once");
    expect(first.events().at(-1)).toMatchObject({ event: "end", status: "stopped", failures: [] });
    await nothingIsLeft(first);

    const second = dev(project, ["--until-drained"]);
    await feed(await endpointOf(second), "words-stops", words.slice(1_000));
    expect(await second.ended).toMatchObject({ code: 0, err: "" });
    expect(generationOf(second)).toBe(2);
    const rest = dev(project, ["--until-drained"]);
    expect(await rest.ended).toMatchObject({ code: 0, err: "" });
    expect(await keptTotals(project, "totals-stops")).toEqual(countsOf(words));
  });

  it("that npx passes on a second time is the same one; a later one ends at once and leaves no process", async () => {
    // A record that takes as long as nobody waits for: the checkpoint to stop at cannot be.
    const busy = "const end = Date.now() + 60_000; while (Date.now() < end); return { word: key, n: 1 };";
    const project = projectWith(countPipeline({ name: "busy", onRecord: busy }));
    const running = dev(project);
    await feed(await endpointOf(running), "words-busy", [{ word: "a" }]);
    await pause(1_500);
    running.signal("SIGINT", "group");
    await pause(50);
    running.signal("SIGINT", "alone");
    await pause(1_000);
    expect(groupOf(running)).toContain(running.pid);
    expect(groupOf(running).length).toBeGreaterThan(2);
    running.signal("SIGINT", "group");
    expect(await running.ended).toMatchObject({ code: 130, signal: null });
    await nothingIsLeft(running);
  });

  it("while it starts ends it, leaves no process, and nothing that the next one stumbles over", async () => {
    const project = projectWith(countPipeline({ name: "early" }));
    for (const after of [100, 250, 400, 600, 800, 1_000, 1_300]) {
      const running = dev(project);
      await pause(after);
      running.signal("SIGINT", "group");
      const { code, signal, err } = await running.ended;
      // Before the command's first line runs, the signal is Node's.
      if (signal !== "SIGINT") expect({ code, after, err }).toMatchObject({ code: 0 });
      expect(err).not.toMatch(/tidemark:/);
      await nothingIsLeft(running);
    }
    expect(await dev(project, ["--until-drained"]).ended).toMatchObject({ code: 0, err: "" });
  });
});
