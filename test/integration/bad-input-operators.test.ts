// Operators whose code is wrong, all at the same record: one message each; every checkpoint stays; mended, the pipeline goes on exactly.
import { beforeAll, describe, expect, it, vi } from "vitest";
import { countsOf, feed, makeStream, totals } from "../fixtures/cli/cloud.js";
import { checkpointsText } from "../fixtures/cli/dev.js";
import { type CountOptions, countPipeline, type Project, rarely } from "../fixtures/cli/project.js";
import { drain, expectNoBodies, expectRefusedDev, marker } from "../fixtures/cli/refusal.js";
import { testStage } from "../fixtures/cli/stage.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const stage = testStage();

const position = String.raw`source "words", shard shardId-00000000000\d, sequence number \d{50,}`;

const name = "operators";
const count = "state.n.update((n: number) => n + 1); return { word: key, n: state.n.get() };";
const good = [{ word: "a" }, { word: "b" }, { word: "a" }];
const bad = { word: "bad", note: marker };

interface Case {
  readonly what: string;
  readonly faulty: Omit<CountOptions, "name">;
  readonly message: RegExp;
  /** Where the fault is met only at the cut of a checkpoint. */
  readonly flags?: readonly string[];
}

const cases: readonly Case[] = [
  {
    what: "throws",
    faulty: { onRecord: `if (record.word === "bad") throw new RangeError("no such airport"); ${count}` },
    message: new RegExp(`operator "count" failed at the record of ${position}: RangeError: no such airport\\n`),
  },
  {
    what: "throws what quotes the record",
    faulty: { onRecord: `if (record.word === "bad") JSON.parse(record.note); ${count}` },
    message: new RegExp(`operator "count" failed at the record of ${position}: SyntaxError\\n`),
  },
  {
    what: "is asynchronous in onRecord",
    faulty: { onRecord: `if (record.word === "bad") return Promise.reject(new Error("later")); ${count}` },
    message: new RegExp(
      `operator "count" failed at the record of ${position}: it gave a promise, but operators are synchronous`,
    ),
  },
  {
    what: "is asynchronous in map",
    faulty: { before: '.map((record) => (record.word === "bad" ? Promise.resolve(record) : record))' },
    message: new RegExp(`map \\(step 1 of the plan\\) failed at the record of ${position}: it gave a promise`),
  },
  {
    what: "gives a row without its key",
    faulty: { onRecord: `if (record.word === "bad") return { n: 1 }; ${count}` },
    message: new RegExp(
      `sink "totals" failed at the record of ${position}: dynamoTable "totals-operators": key attribute "word" of a row is missing; it must be a string that is not empty`,
    ),
  },
  {
    what: "gives a row over 400 KB",
    faulty: {
      onRecord: `${count.replace("return", "const row =")} return record.word === "bad" ? { ...row, note: record.note.repeat(40_000) } : row;`,
    },
    flags: ["--until-drained"],
    message:
      /sink "totals": dynamoTable "totals-operators": a row has 5\d{5} bytes, an item may have 409600 \(400 KB\): write less into it/,
  },
  {
    what: "gives a row that cannot be kept",
    faulty: { onRecord: `if (record.word === "bad") return { word: key, n: () => record.note }; ${count}` },
    flags: ["--until-drained"],
    message: /sink "totals": .*function/,
  },
  {
    what: "keeps what cannot be kept",
    faulty: { onRecord: `if (record.word === "bad") { state.n.set(() => record.note); return; } ${count}` },
    flags: ["--until-drained"],
    message: /operator "count".*function/,
  },
];

let project: Project;
let before: string;
const pipeline = (options: Omit<CountOptions, "name">) => countPipeline({ name, settings: rarely, ...options });

beforeAll(async () => {
  project = stage.newProject({ "pipeline.ts": pipeline({}) });
  await makeStream(stage.cloud.endpoint, `words-${name}`);
  await feed(stage.cloud.endpoint, `words-${name}`, good);
  await drain(project, stage.cloud.endpoint);
  await feed(stage.cloud.endpoint, `words-${name}`, [...good, bad]);
  before = await checkpointsText(project, stage.cloud.env);
});

describe("an operator that", () => {
  it.each(cases)(
    "$what is told once, by its name and the record's position",
    async ({ faulty, flags = [], message }) => {
      project.write("pipeline.ts", pipeline(faulty));
      await expectRefusedDev(project, { pipeline: name, endpoint: stage.cloud.endpoint, flags }, 1, message);
    },
  );

  it("was mended goes on from the checkpoint that all of them have left, exactly", async () => {
    expect(await checkpointsText(project, stage.cloud.env)).toBe(before);
    expect(await totals(stage.cloud.endpoint, `totals-${name}`)).toEqual(countsOf(good));
    project.write("pipeline.ts", pipeline({}));
    expectNoBodies(project, await drain(project, stage.cloud.endpoint));
    expect(await totals(stage.cloud.endpoint, `totals-${name}`)).toEqual(countsOf([...good, ...good, bad]));
  });
});
