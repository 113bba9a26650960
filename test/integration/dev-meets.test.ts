import { afterEach, describe, expect, it, vi } from "vitest";
import { countsOf, feed, someWords, startTestCloud, totals } from "../fixtures/cli/cloud.js";
import { endAll, nothingIsLeft, run } from "../fixtures/cli/command.js";
import { dev, endpointOf, generationOf } from "../fixtures/cli/dev.js";
import { countPipeline } from "../fixtures/cli/project.js";
import { testProjects } from "../fixtures/cli/stage.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const newProject = testProjects();
const projectWith = (text: string) => newProject({ "pipeline.ts": text });
afterEach(() => endAll());

describe("the data folder of the embedded cloud", () => {
  it("is used by one command at a time, and the others say what to do", async () => {
    const project = projectWith(countPipeline({ name: "locked" }));
    project.write("other.ts", countPipeline({ name: "other" }));
    const running = dev(project);
    const endpoint = await endpointOf(running);
    const again = await run(["dev", "pipeline.ts"], { cwd: project.folder });
    expect(again).toMatchObject({ code: 1, out: "" });
    expect(again.err).toBe(
      `tidemark: "locked" is running here already, in "tidemark dev" with pid ${running.pid}; stop that first\n`,
    );
    const folder = `${project.folder}/.tidemark/cloud`;
    const inUse = `tidemark: the data folder ${folder} is in use by another embedded cloud, such as a running "tidemark dev". Stop that, or set AWS_ENDPOINT_URL to the endpoint that it printed\n`;
    const commands = [
      ["dev", "other.ts"],
      ["checkpoints", "pipeline.ts"],
      ["cloud", "--port", "0", "--data", folder],
    ];
    const refused = await Promise.all(commands.map((args) => run(args, { cwd: project.folder })));
    for (const one of refused) expect(one).toMatchObject({ code: 1, out: "", err: inUse });
    const env = { AWS_ENDPOINT_URL: endpoint };
    expect(await run(["checkpoints", "pipeline.ts"], { cwd: project.folder, env })).toMatchObject({ code: 0, err: "" });
    running.signal("SIGTERM", "alone");
    expect(await running.ended).toMatchObject({ code: 0 });
    await nothingIsLeft(running);
  });
});

describe("two starts of one pipeline on one endpoint", () => {
  it("the later one goes on, the earlier one says so and ends; what both read is counted once", async () => {
    const here = projectWith(countPipeline({ name: "twice" }));
    const there = projectWith(countPipeline({ name: "twice" }));
    const cloud = await startTestCloud(here.folder);
    const first = dev(here, [], cloud.env);
    await first.event("ready");
    const words = someWords(400, 10);
    await feed(cloud.endpoint, "words-twice", words.slice(0, 200));
    await first.event("status", ({ records }) => records === 200);
    const second = dev(there, [], cloud.env);
    const ended = await first.ended;
    expect(ended.code).toBe(3);
    expect(ended.err).toMatch(
      /^tidemark: "twice" was started again elsewhere \(generation 2\), and goes on there; [^\n]*\n$/,
    );
    await nothingIsLeft(first);
    await feed(cloud.endpoint, "words-twice", words.slice(200));
    await second.event("status", ({ records, idle }) => records === 400 && idle);
    expect(generationOf(second)).toBe(2);
    second.signal("SIGINT", "group");
    expect(await second.ended).toMatchObject({ code: 0 });
    expect(await totals(cloud.endpoint, "totals-twice")).toEqual(countsOf(words));
    await cloud.close();
  });
});

describe("an endpoint that is gone", () => {
  it("while dev runs ends it, with one message", async () => {
    const project = projectWith(countPipeline({ name: "lost" }));
    const cloud = await startTestCloud(project.folder);
    const running = dev(project, [], cloud.env);
    await feed(cloud.endpoint, (await running.event("ready")) && "words-lost", someWords(20, 2));
    await running.event("status", ({ records }) => records === 20);
    cloud.command.signal("SIGKILL", "alone");
    const lost = await running.ended;
    expect(lost.code).toBe(3);
    expect(lost.err).toMatch(/^tidemark: [^\n]*nothing answers at 127\.0\.0\.1:\d+[^\n]*\n$/);
    await nothingIsLeft(running);
  });
});
