// `tidemark dev` as its users run it: real processes against a cloud of the command line's own.
import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import type { CheckpointSummary } from "../../lib/checkpoint/history.js";
import { countsOf, feed, someWords, totals } from "../fixtures/cli/cloud.js";
import { nothingIsLeft, run, start } from "../fixtures/cli/command.js";
import { countPipeline } from "../fixtures/cli/project.js";
import { testStage } from "../fixtures/cli/stage.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const stage = testStage();

const inProject = () => ({ cwd: stage.project.folder, env: stage.cloud.env });

async function checkpoints(file: string): Promise<readonly CheckpointSummary[]> {
  const listed = await run(["checkpoints", file, "--json"], inProject());
  expect(listed).toMatchObject({ code: 0, err: "" });
  return JSON.parse(listed.out) as readonly CheckpointSummary[];
}

describe("dev --until-drained", () => {
  it("makes what is missing, counts every record once, and ends; the next one goes on", async () => {
    stage.project.write("drained.ts", countPipeline({ name: "drained" }));
    const made = await run(["dev", "drained.ts", "--until-drained"], inProject());
    expect(made).toMatchObject({ code: 0, err: "" });
    for (const name of ["bucket tidemark-dev", "table tidemark-dev", "stream words-drained", "table totals-drained"])
      expect(made.out).toContain(`made ${name}`);
    expect(made.out).toContain("stopped: all input that was read is committed");

    const words = someWords(3_000, 70);
    await feed(stage.cloud.endpoint, "words-drained", words.slice(0, 2_000));
    const first = start(["dev", "drained.ts", "--until-drained", "--json"], inProject());
    expect(await first.ended).toMatchObject({ code: 0, err: "" });
    expect(await totals(stage.cloud.endpoint, "totals-drained")).toEqual(countsOf(words.slice(0, 2_000)));
    await nothingIsLeft(first);

    await feed(stage.cloud.endpoint, "words-drained", words.slice(2_000));
    expect(await run(["dev", "drained.ts", "--until-drained"], inProject())).toMatchObject({ code: 0, err: "" });
    expect(await totals(stage.cloud.endpoint, "totals-drained")).toEqual(countsOf(words));
    expect((await checkpoints("drained.ts"))[0]).toMatchObject({ kind: "stop", records: 3_000 });
  });
});

describe("dev", () => {
  it("counts every record once while --chaos kills its operator processes", async () => {
    const settings = 'restart: { initialDelay: "100ms", maxDelay: "200ms" }';
    stage.project.write("chaos.ts", countPipeline({ name: "chaos", settings }));
    const words = someWords(4_000, 50);
    const dev = start(["dev", "chaos.ts", "--chaos", "2s", "--json"], inProject());
    await dev.event("ready");
    const killed = () => dev.events().filter((event) => event.event === "session" && event.state === "killed").length;
    // Input goes on while processes are killed, so that kills meet records under way.
    for (let at = 0; at < words.length || killed() < 3; at += 200) {
      await feed(stage.cloud.endpoint, "words-chaos", words.slice(at, at + 200));
      await pause(300);
    }
    dev.signal("SIGINT", "group");
    expect(await dev.ended).toMatchObject({ code: 0 });
    await nothingIsLeft(dev);
    const rest = start(["dev", "chaos.ts", "--until-drained", "--json"], inProject());
    expect(await rest.ended).toMatchObject({ code: 0, err: "" });
    expect(await totals(stage.cloud.endpoint, "totals-chaos")).toEqual(countsOf(words));
    expect(dev.events().filter((event) => event.event === "failure").length).toBeGreaterThan(0);
    expect(dev.events().filter((event) => event.event === "recovered").length).toBeGreaterThan(0);
  });

  it("hands over from session to session in one generation", async () => {
    const settings = 'session: { reserve: "2s" }, checkpoint: { interval: "500ms", timeout: "1s" }';
    stage.project.write("sessions.ts", countPipeline({ name: "sessions", settings }));
    const words = someWords(1_000, 20);
    const dev = start(["dev", "sessions.ts", "--session", "5s", "--json"], inProject());
    await dev.event("ready");
    for (let at = 0; at < words.length; at += 100) {
      await feed(stage.cloud.endpoint, "words-sessions", words.slice(at, at + 100));
      await pause(900);
    }
    dev.signal("SIGINT", "alone");
    expect(await dev.ended).toMatchObject({ code: 0 });
    const sessions = dev.events().filter((event) => event.event === "session");
    expect(sessions.filter(({ state }) => state === "started").length).toBeGreaterThan(2);
    expect(sessions.filter(({ state }) => state === "killed")).toEqual([]);
    expect(dev.events().filter((event) => event.event === "failure")).toEqual([]);
    const generations = dev.events().flatMap((event) => (event.event === "status" ? [event.generation] : []));
    expect(Math.max(...generations)).toBe(1);
    await run(["dev", "sessions.ts", "--until-drained"], inProject());
    expect(await totals(stage.cloud.endpoint, "totals-sessions")).toEqual(countsOf(words));
    // Longer than twice the reserve.
    expect(dev.err()).not.toContain("session.reserve");
  });

  it("N1 says so where sessions are not longer than twice the reserve, and hand over at each checkpoint", async () => {
    const settings = 'session: { reserve: "3s" }, checkpoint: { interval: "500ms", timeout: "1s" }';
    stage.project.write("short.ts", countPipeline({ name: "short", settings }));
    const short = await run(["dev", "short.ts", "--session", "6s", "--until-drained"], inProject());
    expect(short).toMatchObject({ code: 0 });
    expect(short.err).toBe(
      "tidemark: --session 6.0 s is not longer than twice session.reserve (3.0 s): all tasks hand over at each checkpoint, which costs time\n",
    );
    const refused = await run(["dev", "short.ts", "--session", "3s", "--until-drained"], inProject());
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining("leaves no time for work") });
  });
});
