// Wrong usage, and files that are no pipelines or configurations: one message, the exit code of its kind, nothing started.
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { endAll, nothingIsLeft, run, start } from "../fixtures/cli/command.js";
import { countPipeline, newProject, type Project } from "../fixtures/cli/project.js";
import { expectOneMessage } from "../fixtures/cli/refusal.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let project: Project;
beforeAll(() => {
  project = newProject({ "pipeline.ts": countPipeline({ name: "usage" }) });
});
afterAll(() => {
  endAll();
  project.remove();
});

describe("wrong usage", () => {
  it.each([
    [["devel", "pipeline.ts"], "error: unknown command 'devel'\n(Did you mean dev?)"],
    [["dev"], "error: missing required argument 'pipeline.ts'"],
    [
      ["dev", "pipeline.ts", "--until-draind"],
      "error: unknown option '--until-draind'\n(Did you mean --until-drained?)",
    ],
    [["dev", "pipeline.ts", "other.ts"], "error: too many arguments for 'dev'. Expected 1 argument but got 2."],
    [["dev", "pipeline.ts", "--chaos", "0"], "argument '0' is invalid. It is no duration"],
    [["dev", "pipeline.ts", "--chaos", "0s"], "argument '0s' is invalid. It is no duration"],
    [["dev", "pipeline.ts", "--session", "20m"], "argument '20m' is invalid. It is longer than 15 min"],
    [["dev", "pipeline.ts", "--port", "1e3"], "argument '1e3' is invalid. It is no port"],
    [["cloud", "--port", "65536"], "argument '65536' is invalid. It is no port"],
    [["cloud", "--limits", "some"], "argument 'some' is invalid. Allowed choices are real, none."],
    [["checkpoints", "--jsn", "pipeline.ts"], "error: unknown option '--jsn'\n(Did you mean --json?)"],
  ])("%j is told with exit code 2", async (args, message) => {
    const ended = await run(args, { cwd: project.folder });
    expect(ended).toMatchObject({ code: 2, out: "" });
    expect(ended.err).toContain(message);
    expect(ended.err).toContain("(add --help for what there is)");
  });
});

describe("a pipeline's file", () => {
  it.each([
    [
      "that is not there",
      null,
      /tidemark: there is no file .*\/case\.ts; the first argument is the file that exports the pipeline/,
    ],
    [
      "that does not compile",
      "export default pipeline(;",
      /case\.ts does not compile:\n.*Unexpected ";"\n\n.*case\.ts:1:24/,
    ],
    ["that exports nothing", "export const x = 1;", /case\.ts exports no pipeline: export it as default/],
    ["that exports something else", "export default { plan: {} };", /case\.ts exports no pipeline/],
    [
      "that throws",
      '\nfunction thrower(): never { throw new Error("no luck"); }\nthrower();',
      /case\.ts cannot be loaded: no luck \(at .*case\.ts:2:/,
    ],
    [
      "that imports what is not installed",
      'import "not-there";',
      /case\.ts cannot be loaded: Cannot find package 'not-there'/,
    ],
    [
      "that imports a file that is not there",
      'import "./not-there.js";',
      /case\.ts does not compile:\n[\s\S]*Could not resolve "\.\/not-there\.js"/,
    ],
    [
      "with a mistake in its pipeline",
      countPipeline({ name: "a b" }),
      /case\.ts cannot be loaded: pipeline\(\): the pipeline's name, "a b", cannot be used/,
    ],
  ])("%s is told with exit code 1", async (_, text, message) => {
    if (text !== null) project.write("case.ts", text);
    const running = start(["dev", "case.ts"], { cwd: project.folder });
    const ended = await running.ended;
    expectOneMessage(ended, 1, message);
    expect(ended.out).toBe("");
    await nothingIsLeft(running);
  });
});

describe("tidemark.config.ts", () => {
  it.each([
    [
      "with an unknown member",
      "export default { tabel: 'x' };",
      /tidemark\.config\.ts: unknown "tabel"; known are table, bucket, region, bindings/,
    ],
    [
      "with an unknown kind of binding",
      "export default { bindings: { stream: {} } };",
      /tidemark\.config\.ts: "bindings": unknown "stream"; known are streams, tables, buckets/,
    ],
    [
      "with a name that is none",
      "export default { bindings: { tables: { totals: 7 } } };",
      /tidemark\.config\.ts: "bindings\.tables", "totals" must be a name, a string that is not empty/,
    ],
    ["with an empty name", "export default { table: '' };", /tidemark\.config\.ts: "table" must be a name/],
    [
      "that exports nothing",
      "export const table = 'x';",
      /tidemark\.config\.ts: export the configuration as default, an object/,
    ],
    [
      "that does not compile",
      "export default {",
      /tidemark\.config\.ts does not compile:\n[\s\S]*tidemark\.config\.ts:1:16/,
    ],
    ["that throws", "throw new Error('not today');", /tidemark\.config\.ts cannot be loaded: not today/],
  ])("%s is told with exit code 1", async (_, text, message) => {
    const configured = newProject({ "pipeline.ts": countPipeline({ name: "usage" }), "tidemark.config.ts": text });
    const ended = await run(["checkpoints", "pipeline.ts"], { cwd: configured.folder });
    expectOneMessage(ended, 1, message);
    configured.remove();
  });
});

describe("what does not go together", () => {
  it("a session that is all reserve", async () => {
    const ended = await run(["dev", "pipeline.ts", "--session", "9s"], { cwd: project.folder });
    expectOneMessage(ended, 1, /--session 9\.0 s leaves no time for work: session\.reserve of "usage" is 10\.0 s/);
  });

  it("flags of the embedded cloud, and an endpoint of another", async () => {
    const env = { AWS_ENDPOINT_URL: "http://127.0.0.1:9" };
    const flags = ["--data", "x", "--port", "0"];
    const ended = await run(["dev", "pipeline.ts", ...flags], { cwd: project.folder, env });
    expectOneMessage(
      ended,
      1,
      /--data and --port of the embedded cloud have no meaning here: AWS_ENDPOINT_URL is http:\/\/127\.0\.0\.1:9; leave one out/,
    );
  });

  it("a list of checkpoints of what has never run, which makes nothing", async () => {
    const never = newProject({ "pipeline.ts": countPipeline({ name: "never" }) });
    const ended = await run(["checkpoints", "pipeline.ts"], { cwd: never.folder });
    expectOneMessage(
      ended,
      1,
      /pipeline "never" has never run in this environment, so that it has no checkpoints \(the embedded cloud has no data in .*\.tidemark\/cloud\)/,
    );
    const again = await run(["checkpoints", "pipeline.ts"], { cwd: never.folder });
    expect(again.err).toBe(ended.err);
    never.remove();
  });
});

describe("a folder that cannot be written", () => {
  it("of the embedded cloud's data", async () => {
    const message =
      /tidemark: the folder \/dev\/null\/data for the embedded cloud's data cannot be written \(ENOTDIR.*\); give another one with --data/;
    expectOneMessage(
      await run(["dev", "pipeline.ts", "--data", "/dev/null/data"], { cwd: project.folder }),
      1,
      message,
    );
    expectOneMessage(
      await run(["cloud", "--port", "0", "--data", "/dev/null/data"], { cwd: project.folder }),
      1,
      message,
    );
  });

  it("of the project", async () => {
    const closed = newProject({ "pipeline.ts": countPipeline({ name: "closed" }), ".tidemark": "a file" });
    const ended = await run(["dev", "pipeline.ts"], { cwd: closed.folder });
    expectOneMessage(
      ended,
      1,
      /tidemark: E(EXIST|NOTDIR).*\.tidemark.*; check that the path is right and may be written/,
    );
    closed.remove();
  });
});

it("--help of every command says what its options do, and what it exits with", async () => {
  const top = await run(["--help"], { cwd: project.folder });
  expect(top).toMatchObject({ code: 0, err: "" });
  expect(top.out).toMatch(/Exit codes: 0 done; 1 .*; 2 wrong usage; 3 /);
  const commands = [...top.out.matchAll(/^ {2}(\w+) .*\S {2,}\S/gm)].map(([, command]) => command ?? "");
  expect(commands).toEqual(expect.arrayContaining(["dev", "cloud", "checkpoints"]));
  for (const command of commands.filter((name) => name !== "help")) {
    const help = await run([command, "--help"], { cwd: project.folder });
    expect(help).toMatchObject({ code: 0, err: "" });
    expect(help.out).toMatch(new RegExp(`^Usage: tidemark ${command} \\[options\\]`));
    const options = help.out.split("\n").filter((line) => /^ {2}-/.test(line));
    expect(options.length).toBeGreaterThan(2);
    // commander wraps what is long: a name and at least the first words of what it does stand on one line.
    for (const option of options) expect(option).toMatch(/^ {2}(-h, )?--[a-z-]+( <[a-z]+(\.{3})?>)? +\S{2,} \S+/);
    expect(help.out).toContain("--json");
  }
});
