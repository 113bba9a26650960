// Savepoints, stop, start, status, delete and check as processes, on a pipeline that runs and on one that rests.
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { countsOf, feed, someWords, startTestCloud, type TestCloud, totals } from "../fixtures/cli/cloud.js";
import { type Ended, endAll, run } from "../fixtures/cli/command.js";
import { dev } from "../fixtures/cli/dev.js";
import { countPipeline, newProject, type Project } from "../fixtures/cli/project.js";
import { expectOneMessage } from "../fixtures/cli/refusal.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 });

const projects: Project[] = [];
afterEach(() => endAll());
afterAll(() => {
  for (const project of projects) project.remove();
});

async function environment(name: string, settings = "") {
  const project = newProject({ "pipeline.ts": countPipeline({ name, settings }) });
  projects.push(project);
  const cloud: TestCloud = await startTestCloud(project.folder);
  const tidemark = (...args: string[]): Promise<Ended> => run(args, { cwd: project.folder, env: cloud.env });
  const asked = async (...args: string[]) => {
    const ended = await tidemark(...args, "--json");
    if (ended.code !== 0) throw new Error(`${args.join(" ")}: ${ended.code}: ${ended.err}`);
    return JSON.parse(ended.out) as Record<string, unknown> & { savepoints: unknown[]; status: string };
  };
  const start = (...flags: string[]) => dev(project, flags, cloud.env);
  return { project, cloud, tidemark, asked, start };
}

describe("a pipeline that runs", () => {
  it("is asked for savepoints, how it stands, is stopped with one, goes on from one, and counts every record once", async () => {
    const { project, cloud, tidemark, asked, start } = await environment("lives");
    const words = someWords(1_200, 20);
    const running = start();
    await running.event("ready");
    await feed(cloud.endpoint, "words-lives", words.slice(0, 400));
    await running.event("status", ({ records }) => records >= 400);

    const first = await asked("savepoint", "pipeline.ts", "--name", "first");
    expect(first).toMatchObject({ pipeline: "lives", name: "first", status: "running", done: true });
    expect(first.at).toMatch(/^s3:\/\/tidemark-dev\/lives\/[0-9a-f]{12}\/.*manifest-[0-9a-f]{64}\.json$/);
    expectOneMessage(
      await tidemark("savepoint", "pipeline.ts", "--name", "first"),
      1,
      /there is a savepoint "first" already/,
    );
    expect(await asked("savepoint", "pipeline.ts", "--name", "other", "--dry-run")).toMatchObject({ done: false });

    await feed(cloud.endpoint, "words-lives", words.slice(400, 800));
    await running.event("status", ({ records }) => records >= 800);
    const status = await asked("status", "pipeline.ts");
    expect(status).toMatchObject({
      status: "running",
      desired: "running",
      generation: 1,
      tasks: [{ task: "0.0", lease: "held" }],
      savepoints: [{ name: "first", checkpoint: first.checkpoint }],
      failures: [],
    });
    expect(await asked("start", "pipeline.ts")).toMatchObject({ changed: false, notes: ["it runs already"] });
    expect(await asked("check", "pipeline.ts")).toMatchObject({ restorable: true, problems: [] });

    // Back to the savepoint while it runs: the input after it is read again, and every word counts once.
    const back = await asked("start", "pipeline.ts", "--from", "first");
    expect(back).toMatchObject({ generation: 2, checkpoint: first.checkpoint, changed: true });
    await feed(cloud.endpoint, "words-lives", words.slice(800));
    await running.event("status", ({ generation, records }) => generation === 2 && records >= 1_200);

    expect(await asked("stop", "pipeline.ts", "--savepoint", "last", "--dry-run")).toMatchObject({ changed: false });
    const stopped = await asked("stop", "pipeline.ts", "--savepoint", "last");
    expect(stopped).toMatchObject({ status: "stopped", savepoint: "last", changed: true });
    expect(await running.ended).toMatchObject({ code: 0, err: "" });
    expect(await totals(cloud.endpoint, "totals-lives")).toEqual(countsOf(words));
    expect(await asked("stop", "pipeline.ts")).toMatchObject({ status: "stopped", changed: false, savepoint: null });
    const again = await tidemark("stop", "pipeline.ts");
    expect(again).toMatchObject({ code: 0, err: "" });
    expect(again.out).toMatch(/^"lives" is stopped already: checkpoint \d+\n$/);

    const listed = await tidemark("checkpoints", "pipeline.ts", "--json");
    const kept = (JSON.parse(listed.out) as { kind: string; names: string[] }[]).filter(
      ({ kind }) => kind === "savepoint",
    );
    expect(kept.map(({ names }) => names)).toEqual([["last"], ["first"]]);
    expect(project.folder).not.toBe("");
  });

  it("B2 a savepoint at parallelism 2 has nothing on the way", async () => {
    const { cloud, asked, start } = await environment("wide", "parallelism: 2");
    const words = someWords(2_000, 50);
    const running = start();
    await running.event("ready");
    await feed(cloud.endpoint, "words-wide", words);
    await running.event("status", ({ records }) => records > 0);
    await asked("savepoint", "pipeline.ts", "--name", "s");
    const status = await asked("status", "pipeline.ts");
    expect(status.tasks).toHaveLength(4);
    expect(await asked("stop", "pipeline.ts", "--savepoint", "e")).toMatchObject({ status: "stopped" });
    expect(await running.ended).toMatchObject({ code: 0 });
    expect(await asked("status", "pipeline.ts")).toMatchObject({ checkpoint: { alignment: "aligned" } });
  });
});

describe("a pipeline that rests", () => {
  it("has its last checkpoint kept, more than once, and let go again; code that cannot go on from it is told so", async () => {
    const { project, cloud, tidemark, asked, start } = await environment("rests");
    const running = start("--until-drained");
    await running.event("ready");
    await feed(cloud.endpoint, "words-rests", someWords(300, 5));
    expect(await running.ended).toMatchObject({ code: 0, err: "" });
    const { checkpoint } = await asked("savepoint", "pipeline.ts", "--name", "a");
    expect(await asked("stop", "pipeline.ts", "--savepoint", "b")).toMatchObject({ savepoint: "b", changed: false });
    expect((await asked("status", "pipeline.ts")).savepoints).toEqual([
      { name: "a", checkpoint },
      { name: "b", checkpoint },
    ]);

    const text = await tidemark("status", "pipeline.ts");
    expect(text.out).toMatch(/^rests: stopped\n/);
    expect(text.out).toContain(`savepoints     a (${checkpoint}), b (${checkpoint})`);

    expectOneMessage(await tidemark("delete", "pipeline.ts", "c"), 1, /has no savepoint "c"; savepoints: a, b$/m);
    expectOneMessage(await tidemark("delete", "pipeline.ts", "a"), 1, /give --yes/);
    expect(await asked("delete", "pipeline.ts", "a", "--dry-run")).toMatchObject({ deleted: false });
    expect(await asked("delete", "pipeline.ts", "a", "--yes")).toMatchObject({ deleted: true, checkpoint });
    expect((await asked("status", "pipeline.ts")).savepoints).toEqual([{ name: "b", checkpoint }]);

    expectOneMessage(
      await tidemark("start", "pipeline.ts", "--from", "a"),
      1,
      /no checkpoint or savepoint "a".*savepoints: b/,
    );
    const waited = await tidemark("start", "pipeline.ts", "--timeout", "1s");
    expect(waited).toMatchObject({ code: 3 });
    expect(waited.err).toMatch(/the start was not within 1.0 s; it stays asked for[\s\S]*tidemark dev/);

    project.write("pipeline.ts", countPipeline({ name: "rests", operator: "renamed" }));
    const checked = await tidemark("check", "pipeline.ts", "--against", "b");
    expect(checked.code).toBe(1);
    expect(checked.out).toMatch(/can NOT go on \(1 reason\)[\s\S]*operator "count", which the plan has not/);
    const refused = await tidemark("start", "pipeline.ts", "--from", "b", "--timeout", "1s");
    expectOneMessage(refused, 1, /cannot go on from checkpoint \d+:\n {2}.*operator "count"/);
    const dropped = await asked("check", "pipeline.ts", "--against", "b", "--allow-dropped", "count");
    expect(dropped).toMatchObject({
      restorable: true,
      notes: [
        'the state of operator "count" is dropped',
        'operator "renamed" has no state in the checkpoint: it starts empty',
      ],
    });
  });
});

describe("usage", () => {
  const commands = ["savepoint", "stop", "start", "status", "check"];
  it("one that never ran has nothing to say; an endpoint that does not answer is another exit code", async () => {
    const { project, tidemark } = await environment("never");
    for (const command of commands)
      expectOneMessage(await tidemark(command, "pipeline.ts"), 1, /pipeline "never" has never run in this environment/);
    expectOneMessage(await tidemark("delete", "pipeline.ts", "x"), 1, /has never run/);
    const nowhere = { cwd: project.folder, env: { AWS_ENDPOINT_URL: "http://127.0.0.1:9" } };
    for (const command of commands)
      expectOneMessage(await run([command, "pipeline.ts"], nowhere), 3, /nothing answers at http:\/\/127\.0\.0\.1:9/);
    expect(await tidemark("savepoint", "pipeline.ts", "--name")).toMatchObject({ code: 2 });
    expect(await tidemark("delete", "pipeline.ts")).toMatchObject({ code: 2 });
  });

  it.each([...commands, "delete"])("%s --help has examples, and says what --json prints", async (command) => {
    const { code, out } = await run([command, "--help"], { cwd: process.cwd() });
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`Examples:\n {2}tidemark ${command} `));
    expect(out).toContain("Members with --json:");
  });
});
