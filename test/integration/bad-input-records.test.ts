// Records that fail: one message that says what, where and what to do; every checkpoint stays; once the cause is
// mended the next dev goes on exactly.
import { describe, expect, it, vi } from "vitest";
import { countsOf, feed, makeStream, someWords, totals } from "../fixtures/cli/cloud.js";
import { checkpointsText } from "../fixtures/cli/dev.js";
import { type CountOptions, countPipeline, type Project, rarely } from "../fixtures/cli/project.js";
import { drain, expectNoBodies, expectRefusedDev, marker } from "../fixtures/cli/refusal.js";
import { testStage } from "../fixtures/cli/stage.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const stage = testStage();

const settings = rarely;
const position = String.raw`source "words", shard shardId-00000000000\d, sequence number \d{50,}`;

const count = "state.n.update((n: number) => n + 1); return { word: key, n: state.n.get() };";
const lenient =
  '{ name: "lenient", encode: () => new Uint8Array(), decode: (body: Uint8Array) => { try { return JSON.parse(Buffer.from(body).toString()); } catch { return { word: "bad" }; } } }';
const throwing =
  '{ name: "mine", encode: () => new Uint8Array(), decode: (body: Uint8Array) => { throw new Error(Buffer.from(body).toString()); } }';

async function projectOf(options: CountOptions): Promise<Project> {
  const project = stage.newProject({ "pipeline.ts": countPipeline({ settings, ...options }) });
  await makeStream(stage.cloud.endpoint, `words-${options.name}`);
  return project;
}

describe("a record", () => {
  it("that does not decode is named by shard, sequence number and cause, never shown; a codec that takes it goes on exactly", async () => {
    const name = "undecodable";
    const project = await projectOf({ name });
    const good = someWords(20, 4);
    await feed(stage.cloud.endpoint, `words-${name}`, good);
    await drain(project, stage.cloud.endpoint);
    await feed(stage.cloud.endpoint, `words-${name}`, [`{ "word": "bad", "note": "${marker}`]);
    const before = await checkpointsText(project, stage.cloud.env);
    const where = { pipeline: name, endpoint: stage.cloud.endpoint };
    const message = new RegExp(
      `pipeline "${name}" failed: ${position}: the record \\(\\d+ bytes\\) is not JSON, wrong at character \\d+ \\(codec json\\)\nCheckpoint \\d+ stands: mend the cause and run dev again`,
    );
    await expectRefusedDev(project, where, 1, message);
    project.write("pipeline.ts", countPipeline({ name, settings, codec: throwing }));
    await expectRefusedDev(project, where, 1, new RegExp(`${position}: it does not decode \\(codec mine\\)`));
    expect(await checkpointsText(project, stage.cloud.env)).toBe(before);
    project.write("pipeline.ts", countPipeline({ name, settings, codec: lenient }));
    expectNoBodies(project, await drain(project, stage.cloud.endpoint));
    expect(await totals(stage.cloud.endpoint, `totals-${name}`)).toEqual(countsOf([...good, { word: "bad" }]));
  });

  it("with the key __proto__, constructor or toString counts as any other", async () => {
    const words = ["__proto__", "constructor", "toString", "__proto__", "hasOwnProperty", "__proto__"];
    const project = await projectOf({ name: "prototypes" });
    await feed(
      stage.cloud.endpoint,
      "words-prototypes",
      words.map((word) => ({ word })),
    );
    await drain(project, stage.cloud.endpoint);
    await feed(stage.cloud.endpoint, "words-prototypes", [
      '{ "word": "__proto__", "__proto__": { "word": "polluted" } }',
    ]);
    await drain(project, stage.cloud.endpoint);
    const expected = countsOf([...words, "__proto__"].map((word) => ({ word })));
    expect(await totals(stage.cloud.endpoint, "totals-prototypes")).toEqual(expected);
  });
});

describe("an operator that was renamed", () => {
  it("P2: is named, its checkpoint stays restorable, and with its old name it goes on exactly", async () => {
    const name = "renamed";
    const project = await projectOf({ name });
    const words = someWords(60, 12);
    await feed(stage.cloud.endpoint, `words-${name}`, words.slice(0, 30));
    await drain(project, stage.cloud.endpoint);
    const before = await checkpointsText(project, stage.cloud.env);
    project.write("pipeline.ts", countPipeline({ name, settings, operator: "tally", onRecord: count }));
    await feed(stage.cloud.endpoint, `words-${name}`, words.slice(30));
    const message = /^tidemark: pipeline "renamed".*checkpoint \d+.* "count"/;
    await expectRefusedDev(project, { pipeline: name, endpoint: stage.cloud.endpoint }, 1, message);
    expect(await checkpointsText(project, stage.cloud.env)).toBe(before);
    project.write("pipeline.ts", countPipeline({ name, settings }));
    await drain(project, stage.cloud.endpoint);
    expect(await totals(stage.cloud.endpoint, `totals-${name}`)).toEqual(countsOf(words));
  });
});
