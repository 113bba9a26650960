// `tidemark state` and `diff` as processes: what they print, what they write, and that a lost table is no matter.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { DeleteTableCommand } from "@aws-sdk/client-dynamodb";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { countsOf, feed, someWords, startTestCloud, totals } from "../fixtures/cli/cloud.js";
import { type Ended, endAll, run } from "../fixtures/cli/command.js";
import { dev } from "../fixtures/cli/dev.js";
import { countPipeline, newProject, type Project } from "../fixtures/cli/project.js";
import { expectOneMessage } from "../fixtures/cli/refusal.js";
import { dynamoAt } from "./cloud-clients.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 });

const projects: Project[] = [];
afterEach(() => endAll());
afterAll(() => {
  for (const project of projects) project.remove();
});

async function environment(name: string) {
  const project = newProject({ "pipeline.ts": countPipeline({ name }) });
  projects.push(project);
  const cloud = await startTestCloud(project.folder);
  const tidemark = (...args: string[]): Promise<Ended> => run(args, { cwd: project.folder, env: cloud.env });
  const good = async (...args: string[]): Promise<string> => {
    const ended = await tidemark(...args);
    if (ended.code !== 0) throw new Error(`${args.join(" ")}: ${ended.code}: ${ended.err}`);
    return ended.out;
  };
  const lines = async (...args: string[]) => {
    const text = await good(...args);
    return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Record<string, unknown>]));
  };
  const drain = async (words: readonly { readonly word: string }[]) => {
    const running = dev(project, ["--until-drained"], cloud.env);
    await running.event("ready");
    await feed(cloud.endpoint, `words-${name}`, words);
    expect(await running.ended).toMatchObject({ code: 0 });
  };
  return { project, cloud, tidemark, good, lines, drain };
}

const countsIn = (lines: readonly Record<string, unknown>[]) =>
  new Map(lines.map(({ key, state }) => [key as string, (state as { n: number }).n]));

describe("the state of a checkpoint", () => {
  it("is printed, compared, edited into savepoints and gone on from, and read without the table", async () => {
    const { project, cloud, tidemark, good, lines, drain } = await environment("printed");
    const words = someWords(700, 10);
    await drain(words.slice(0, 400));
    await good("savepoint", "pipeline.ts", "--name", "first");
    await drain(words.slice(400));
    expect(countsIn(await lines("state", "pipeline.ts", "latest", "--json"))).toEqual(countsOf(words));
    expect(countsIn(await lines("state", "pipeline.ts", "first", "count"))).toEqual(countsOf(words.slice(0, 400)));
    expect(await lines("state", "pipeline.ts", "latest", "count", "--key", "w3")).toEqual([
      { operator: "count", key: "w3", state: { n: 70 } },
    ]);
    const changed = await lines("diff", "pipeline.ts", "first", "latest", "--json");
    expect(changed).toHaveLength(10);
    expect(changed).toContainEqual({
      operator: "count",
      key: "w3",
      change: "changed",
      before: { n: 40 },
      now: { n: 70 },
    });

    const set = ["state", "set", "pipeline.ts", "latest", "count", "--key", "w3", "--value", '{"n":7000}'] as const;
    expect(await lines(...set, "--savepoint", "mended", "--dry-run", "--json")).toMatchObject([
      { checkpoint: null, before: { n: 70 }, now: { n: 7_000 }, done: false },
    ]);
    const [mended] = await lines(...set, "--savepoint", "mended", "--json");
    expect(mended).toMatchObject({ savepoint: "mended", operator: "count", key: "w3", done: true });
    const unset = ["state", "delete", "pipeline.ts", "mended", "count", "--key", "w4", "--savepoint"] as const;
    expect(await good(...unset, "less")).toMatch(/^savepoint "less" is checkpoint \d+: .* \{"n":70\} → no state\n/);
    expect(await good("diff", "pipeline.ts", "latest", "less")).toBe(
      '~ count "w3" {"n":70} → {"n":7000}\n- count "w4" {"n":70}\n'.split("\n").sort().join("\n").trim().concat("\n"),
    );
    expect(JSON.parse(await good("verify", "pipeline.ts", String(mended?.checkpoint), "--json"))).toMatchObject({
      problems: [],
    });
    // What stands in the line of checkpoints is as it was.
    expect(countsIn(await lines("state", "pipeline.ts", "latest"))).toEqual(countsOf(words));

    const running = dev(project, [], cloud.env);
    await running.event("ready");
    await good("start", "pipeline.ts", "--from", "less");
    await feed(cloud.endpoint, "words-printed", [{ word: "w3" }, { word: "w4" }]);
    const isThere = async () => (await totals(cloud.endpoint, "totals-printed")).get("w3") === 7_001;
    while (!(await isThere())) await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await totals(cloud.endpoint, "totals-printed")).get("w4")).toBe(1);
    await good("stop", "pipeline.ts", "--no-savepoint");
    await running.ended;

    const before = await good("state", "pipeline.ts", "latest");
    const client = dynamoAt(cloud.endpoint, "HTTP/1.1");
    await client.send(new DeleteTableCommand({ TableName: "tidemark-dev" }));
    client.destroy();
    expect(await good("state", "pipeline.ts", "latest")).toBe(before);
    expect(await good("state", "printed", "latest", "--bucket", "tidemark-dev")).toBe(before);
    expect(countsIn(await lines("state", "pipeline.ts", "mended")).get("w3")).toBe(7_000);
    expectOneMessage(await tidemark("checkpoints", "pipeline.ts"), 1, /there is no table/);
  });

  it("is written from JSON lines for a pipeline that never ran, and beside one that did", async () => {
    const { project, good, lines, tidemark, drain, cloud } = await environment("written");
    const line = (key: unknown, n: unknown) => `${JSON.stringify({ operator: "count", key, state: { n } })}\n`;
    const write = (name: string, text: string) => writeFileSync(join(project.folder, name), text);
    write("old.jsonl", line("w1", 1_000) + line("w99", 5));
    const from = ["state", "write", "pipeline.ts", "--from", "old.jsonl", "--savepoint"] as const;
    expect(await lines(...from, "old", "--dry-run", "--json")).toMatchObject([{ keys: 2, first: true, done: false }]);
    expect(await lines(...from, "old", "--json")).toMatchObject([{ keys: 2, checkpoint: 1, first: true, done: true }]);
    await drain(someWords(100, 10));
    expect(await totals(cloud.endpoint, "totals-written")).toEqual(
      new Map([...countsOf(someWords(100, 10)), ["w1", 1_010]]),
    );
    expect(countsIn(await lines("state", "pipeline.ts", "latest")).get("w99")).toBe(5);

    expect(await lines(...from, "again", "--at", "latest", "--json")).toMatchObject([{ keys: 2, first: false }]);
    expect(countsIn(await lines("state", "pipeline.ts", "again"))).toEqual(
      new Map([
        ["w1", 1_000],
        ["w99", 5],
      ]),
    );
    expect(JSON.parse(await good("check", "pipeline.ts", "--against", "again", "--json"))).toMatchObject({
      restorable: true,
    });
    for (const [text, problem] of [
      [line("w1", 1) + line("w1", 2), /line 2: its key was there before/],
      [line(null, 1), /line 1: null is not a key/],
      ['{"operator":"other","key":1,"state":{"n":1}}\n', /line 1: the pipeline has no operator "other".*"count"/],
      ['{"operator":"count","key":1,"state":{"m":1}}\n', /declares no state "m"; it has n/],
      ["what?\n", /line 1: .*JSON/],
    ] as const) {
      write("old.jsonl", text);
      expectOneMessage(await tidemark(...from, "bad"), 1, problem);
    }
  });

  it("that is asked for wrongly is refused, with what there is", async () => {
    const { tidemark, drain, good } = await environment("refused");
    expectOneMessage(
      await tidemark("state", "pipeline.ts", "latest"),
      1,
      /S3 bucket "tidemark-dev".*it does not exist/,
    );
    await drain(someWords(30, 3));
    const kept = await good("checkpoints", "pipeline.ts", "--json");
    const refusals: readonly (readonly [readonly string[], RegExp])[] = [
      [["state", "pipeline.ts", "77"], /no complete checkpoint "77" in the bucket; checkpoints: .*savepoints: none/],
      [["state", "pipeline.ts", "latest", "other"], /no state of an operator "other"; it has: count/],
      [["state", "pipeline.ts", "latest", "--key", "7"], /no state of the key 7 .*the string is --key '"7"'/],
      [["state", "pipeline.ts", "latest", "--key", '{"a":1}'], /--key \{"a":1\}: .*is not a key/],
      [["diff", "pipeline.ts", "1", "77"], /"77"/],
      [
        ["state", "delete", "pipeline.ts", "latest", "count", "--key", "no", "--savepoint", "s"],
        /no state of the key "no"/,
      ],
      [
        ["state", "set", "pipeline.ts", "latest", "count", "--key", "w1", "--value", "n", "--savepoint", "s"],
        /--value is no JSON/,
      ],
    ];
    for (const [args, problem] of refusals) expectOneMessage(await tidemark(...args), 1, problem);
    expect(await tidemark("state", "set", "pipeline.ts", "latest", "count", "--key", "w1")).toMatchObject({ code: 2 });
    expect(await good("checkpoints", "pipeline.ts", "--json")).toBe(kept);
  });
});
