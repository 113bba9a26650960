// How `tidemark dev` goes on while its pipeline sleeps, and ends from there: on its embedded cloud.
import { afterAll, afterEach, expect, it, vi } from "vitest";
import { countsOf, feed, someWords } from "../fixtures/cli/cloud.js";
import { endAll, nothingIsLeft } from "../fixtures/cli/command.js";
import { dev, endpointOf, keptTotals } from "../fixtures/cli/dev.js";
import { countPipeline, newProject, type Project } from "../fixtures/cli/project.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });

const projects: Project[] = [];
afterEach(() => endAll());
afterAll(() => {
  for (const project of projects) project.remove();
});

function sleeper(name: string): Project {
  const project = newProject({ "pipeline.ts": countPipeline({ name, settings: 'idle: { suspendAfter: "1s" }' }) });
  projects.push(project);
  return project;
}

it("N2 N3 dev goes on while its pipeline sleeps, which wakes for records; Ctrl-C ends it asleep", async () => {
  const project = sleeper("night");
  const words = someWords(600, 20);
  const running = dev(project);
  const endpoint = await endpointOf(running);
  const toNight = async (from: number, to: number) => {
    await feed(endpoint, "words-night", words.slice(from, to));
    await running.event("status", (event) => event.status === "suspended" && event.records === to);
  };
  await toNight(0, 200);
  const asleep = () =>
    running.events().filter((event) => event.event === "session" && event.state === "started").length;
  const sessions = asleep();
  await toNight(200, 400);
  expect(asleep()).toBeGreaterThan(sessions);
  await toNight(400, 600);
  running.signal("SIGINT", "group");
  expect(await running.ended).toMatchObject({ code: 0, signal: null });
  expect(running.events().at(-1)).toMatchObject({ event: "end", status: "stopped", failures: [] });
  expect(running.events().flatMap((event) => (event.event === "status" ? [event.restarts] : []))).not.toContain(1);
  await nothingIsLeft(running);
  expect(await keptTotals(project, "totals-night")).toEqual(countsOf(words));
});

it("N2 --until-drained ends a dev whose pipeline falls asleep first", async () => {
  const project = sleeper("drained");
  const words = someWords(300, 20);
  const first = dev(project);
  await feed(await endpointOf(first), "words-drained", words);
  await first.event("status", ({ status }) => status === "suspended");
  first.signal("SIGKILL", "group");
  await first.ended;
  const second = dev(project, ["--until-drained"]);
  expect(await second.ended).toMatchObject({ code: 0, err: "" });
  expect(second.events().at(-1)).toMatchObject({ event: "end", status: "stopped" });
  expect(await keptTotals(project, "totals-drained")).toEqual(countsOf(words));
});
