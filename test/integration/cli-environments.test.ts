// What `tidemark` makes of environments, bounded input and checkpoints: real processes against a cloud of the command line's own.
import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import type { CheckpointSummary } from "../../lib/checkpoint/history.js";
import { countsOf, feed, someWords, totals } from "../fixtures/cli/cloud.js";
import { run, start } from "../fixtures/cli/command.js";
import { countPipeline, newProject } from "../fixtures/cli/project.js";
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

describe("bounded input", () => {
  it("ends by itself at its end, and all of it is counted", async () => {
    stage.project.write("bounded.ts", countPipeline({ name: "bounded" }));
    expect(await run(["dev", "bounded.ts", "--until-drained"], inProject())).toMatchObject({ code: 0 });
    await feed(stage.cloud.endpoint, "words-bounded", someWords(300, 7));
    await pause(1_100);
    const end = Date.now();
    stage.project.write("bounded.ts", countPipeline({ name: "bounded", source: `, end: { at: new Date(${end}) }` }));
    await pause(1_100);
    await feed(stage.cloud.endpoint, "words-bounded", someWords(50, 7));
    const dev = await run(["dev", "bounded.ts"], inProject());
    expect(dev).toMatchObject({ code: 0, err: "" });
    expect(dev.out).toContain("finished: all input that was read is committed");
    expect(await totals(stage.cloud.endpoint, "totals-bounded")).toEqual(countsOf(someWords(300, 7)));
    expect((await checkpoints("bounded.ts"))[0]).toMatchObject({ kind: "final", records: 300 });
  });
});

describe("two pipelines of one environment", () => {
  const config = `export default {
    table: "env-checkpoints", bucket: "env-snapshots", region: "eu-west-3",
    bindings: { streams: { "words-one": "shared-words" , "words-two": "shared-words" }, tables: { "totals-two": "acme-totals" } },
  };`;

  it("run together under the names of tidemark.config.ts, each with checkpoints of its own", async () => {
    const acme = newProject(
      {
        "tidemark.config.ts": config,
        "src/one.ts": countPipeline({ name: "one" }),
        "src/two.ts": countPipeline({ name: "two" }),
      },
      "Größe und Länge ",
    );
    const words = someWords(500, 9);
    const options = { cwd: acme.folder, env: stage.cloud.env };
    const one = start(["dev", "src/one.ts", "--json"], options);
    const ready = await one.event("ready");
    expect(ready.made).toContain("stream shared-words");
    await feed(stage.cloud.endpoint, "shared-words", words);
    const two = start(["dev", "src/two.ts", "--until-drained", "--json"], options);
    expect((await two.event("ready")).made).toEqual(["table acme-totals"]);
    expect(await two.ended).toMatchObject({ code: 0, err: "" });
    one.signal("SIGINT", "group");
    expect(await one.ended).toMatchObject({ code: 0 });
    expect(await run(["dev", "src/one.ts", "--until-drained"], options)).toMatchObject({ code: 0, err: "" });
    expect(await totals(stage.cloud.endpoint, "totals-one")).toEqual(countsOf(words));
    expect(await totals(stage.cloud.endpoint, "acme-totals")).toEqual(countsOf(words));

    const listed = await run(["checkpoints", "src/two.ts"], options);
    expect(listed).toMatchObject({ code: 0, err: "" });
    const [header, newest] = listed.out.split("\n");
    expect(header).toMatch(/^id +kind +time \(UTC\) +duration +bytes +records +positions$/);
    expect(newest).toMatch(/^\d+ +stop +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d .* 500 +words\/shardId-000000000000@/);
    acme.remove();
  });
});

describe("checkpoints", () => {
  it("lists them while dev runs, newest first, with all members in JSON", async () => {
    stage.project.write("listed.ts", countPipeline({ name: "listed" }));
    const dev = start(["dev", "listed.ts", "--json"], inProject());
    await dev.event("ready");
    await feed(stage.cloud.endpoint, "words-listed", someWords(10, 3));
    const first = await dev.event("status", (event) => event.records === 10 && event.checkpoint !== null);
    await feed(stage.cloud.endpoint, "words-listed", someWords(20, 3));
    await dev.event("status", (event) => event.records === 30 && Number(event.checkpoint) > Number(first.checkpoint));
    const running = await checkpoints("listed.ts");
    dev.signal("SIGINT", "alone");
    await dev.ended;
    const after = await checkpoints("listed.ts");
    expect(running.length).toBeGreaterThan(1);
    // What of it is committed changes by and by.
    const isKept = (one: (typeof after)[number]) => ({ ...one, uncommitted: null });
    expect(after.slice(-running.length).map(isKept)).toEqual(running.map(isKept));
    expect(after).toEqual(after.map((one) => ({ ...one, uncommitted: [] })));
    expect(after.map(({ id }) => id)).toEqual(after.map(({ id }) => id).sort((a, b) => b - a));
    expect(after[0]?.kind).toBe("stop");
    expect(after[0]?.records).toBe(30);
    expect(Object.keys(after[0] ?? {}).sort()).toEqual([
      "bytes",
      "completedAt",
      "durationMillis",
      "generation",
      "id",
      "kind",
      "names",
      "positions",
      "records",
      "triggeredAt",
      "uncommitted",
    ]);
  });
});
