import { afterEach, describe, expect, it, vi } from "vitest";
import { countsOf, feed, someWords } from "../fixtures/cli/cloud.js";
import { endAll, nothingIsLeft } from "../fixtures/cli/command.js";
import { checkpointsText, dev, endpointOf, generationOf, keptTotals } from "../fixtures/cli/dev.js";
import { countPipeline } from "../fixtures/cli/project.js";
import { testProjects } from "../fixtures/cli/stage.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const newProject = testProjects();
const projectWith = (text: string) => newProject({ "pipeline.ts": text });
afterEach(() => endAll());

describe("kill -9", () => {
  it("of dev and all its children: the next dev goes on at once from the last checkpoint, exactly", async () => {
    const project = projectWith(countPipeline({ name: "killed" }));
    const words = someWords(3_000, 40);
    let generation = 0;
    for (const [from, to] of [
      [0, 1_000],
      [1_000, 2_000],
    ] as const) {
      const killed = dev(project);
      const endpoint = await endpointOf(killed);
      await feed(endpoint, "words-killed", words.slice(from, to));
      await killed.event("status", (event) => event.records > from && event.checkpoint !== null);
      await feed(endpoint, "words-killed", words.slice(to, to + 10));
      killed.signal("SIGKILL", "group");
      expect(await killed.ended).toMatchObject({ code: null, signal: "SIGKILL" });
      await nothingIsLeft(killed);
      generation = generationOf(killed);
    }
    const last = (JSON.parse(await checkpointsText(project)) as { id: number }[])[0]?.id;
    const next = dev(project);
    const endpoint = await endpointOf(next);
    // Its sessions had 15 minutes to live: nobody waits for that.
    const going = await next.event("status", (event) => event.status === "running");
    expect(going).toMatchObject({ generation: generation + 1 });
    expect(going.checkpoint).toBeGreaterThanOrEqual(last ?? Number.NaN);
    await feed(endpoint, "words-killed", words.slice(2_010));
    const all = [...words.slice(0, 1_000), ...words.slice(1_000, 1_010), ...words.slice(1_000, 2_000)];
    const expected = countsOf([...all, ...words.slice(2_000)]);
    await next.event("status", ({ records, idle }) => idle && records === 3_010);
    next.signal("SIGINT", "group");
    expect(await next.ended).toMatchObject({ code: 0 });
    expect(await keptTotals(project, "totals-killed")).toEqual(expected);
  });

  it("of dev alone: its children end, or the next dev ends them", async () => {
    const project = projectWith(countPipeline({ name: "orphans" }));
    const killed = dev(project);
    await feed(await endpointOf(killed), "words-orphans", someWords(100, 5));
    await killed.event("status", ({ records }) => records === 100);
    killed.signal("SIGKILL", "alone");
    await killed.ended;
    expect(await dev(project, ["--until-drained"]).ended).toMatchObject({ code: 0, err: "" });
    await nothingIsLeft(killed);
    expect(await keptTotals(project, "totals-orphans")).toEqual(countsOf(someWords(100, 5)));
  });
});
