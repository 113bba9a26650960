// Targets of sinks that are absent, or that refuse what is committed: one message each, nothing is lost, what was mended goes on exactly.
import { readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { PutItemCommand, ScanCommand, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { DeleteObjectCommand, GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { feed, makeStream } from "../fixtures/cli/cloud.js";
import { run } from "../fixtures/cli/command.js";
import { dev } from "../fixtures/cli/dev.js";
import { countPipeline, type Project, rarely } from "../fixtures/cli/project.js";
import { drain, expectOneMessage } from "../fixtures/cli/refusal.js";
import { testStage } from "../fixtures/cli/stage.js";
import { dynamoAt, s3At } from "./cloud-clients.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 60_000 });

const stage = testStage();

interface Sinks {
  readonly name: string;
  /** Lines that give the stream of words, `words`, to sinks. */
  readonly to: string;
}

const sinking = ({ name, to }: Sinks): string => `
import { existsSync } from "node:fs";
import { dynamoCounters, dynamoTable, fileSink, json, kinesisSource, kinesisStream, pipeline, s3Files, StreamError, twoPhase } from "tidemark";
import { postgres } from "tidemark/postgres";

interface Word { readonly word: string; readonly n: number }

export default pipeline("${name}", { ${rarely}, session: { reserve: "10s" } }, (flow) => {
  const words = flow.from("words", kinesisSource({ stream: "words-${name}", codec: json<Word>(), start: "trim-horizon" }));
  ${to}
});
`;

async function projectOf(sinks: Sinks): Promise<Project> {
  const project = stage.newProject({ "pipeline.ts": sinking(sinks) });
  await makeStream(stage.cloud.endpoint, `words-${sinks.name}`);
  return project;
}

const failing = (project: Project, ...flags: readonly string[]) => dev(project, flags, stage.cloud.env).ended;

describe("a target that is absent or refuses is told before anything is read:", () => {
  it.each<readonly [string, string, RegExp]>([
    [
      "table",
      'dynamoTable({ table: "none", key: ["word"] })',
      /sink "out": there is no table "none" .*leave out --no-create/,
    ],
    [
      "counters",
      'dynamoCounters({ table: "none", key: ["word"] })',
      /sink "out": there is no table "none" .*leave out/,
    ],
    [
      "stream",
      'kinesisStream<Word>({ stream: "none", partitionKey: ({ word }) => word })',
      /sink "out": .*"none": check: there is no such stream; create it, or bind/,
    ],
    [
      "bucket",
      's3Files<Word>({ bucket: "none" })',
      /sink "out": S3 bucket "none": .*does not exist.*; create it, or check its name/,
    ],
    ["database", 'postgres({ database: "env:NO_SUCH_URL", table: "t", mode: "append" })', /sink "out": .*NO_SUCH_URL/],
    ["folder", 'fileSink<Word>({ folder: "pipeline.ts/out" })', /sink "out": cannot .*pipeline\.ts\/out.*: ENOTDIR/],
  ])("%s", async (name, sink, message) => {
    // Makes what all pipelines share.
    stage.project.write("pipeline.ts", countPipeline({ name: "first" }));
    await drain(stage.project, stage.cloud.endpoint);
    const project = await projectOf({ name: `absent-${name}`, to: `words.to("out", ${sink});` });
    await feed(stage.cloud.endpoint, `words-absent-${name}`, [{ word: "a", n: 1 }]);
    expectOneMessage(await failing(project, "--no-create"), 1, message);
    const listed = await run(["checkpoints", "pipeline.ts"], { cwd: project.folder, env: stage.cloud.env });
    expectOneMessage(listed, 1, /has never run in this environment/);
  });
});

const words = Array.from({ length: 30 }, (_, n) => ({ word: `w${n % 3}`, n }));
/** Of each word the sum. */
const sums = new Map(
  [0, 1, 2].map((word) => [`w${word}`, words.filter(({ n }) => n % 3 === word).reduce((sum, { n }) => sum + n, 0)]),
);

/** What `tidemark checkpoints` says of what is not written yet. */
async function pending(project: Project): Promise<string> {
  const listed = await run(["checkpoints", "pipeline.ts"], { cwd: project.folder, env: stage.cloud.env });
  expect(listed).toMatchObject({ code: 0, err: "" });
  return listed.out;
}

/** Two phases, of which the second is refused as long as there is the file. */
const gate = (shut: string): string => `twoPhase<Word, { readonly name: string }>({
    kind: "gate",
    open: () => ({
      write: async () => undefined,
      prepare: async (name) => ({ name }),
      async commit() {
        if (existsSync(${JSON.stringify(shut)})) throw new StreamError("invalid", "the gate is shut: remove the file");
      },
      abort: async () => undefined,
      leftovers: async () => [],
    }),
  })`;

/** What the sinks of the test write to; of what is staged some is taken away, and put back. */
function targetsAt(endpoint: string, folder: string) {
  const [dynamo, s3] = [dynamoAt(endpoint, "HTTP/1.1"), s3At(endpoint)];
  onTestFinished(() => {
    dynamo.destroy();
    s3.destroy();
  });
  const Bucket = "stuck";
  const keys = async () =>
    ((await s3.send(new ListObjectsV2Command({ Bucket }))).Contents ?? []).map(({ Key = "" }) => Key);
  const body = async (Key: string) =>
    (await (await s3.send(new GetObjectCommand({ Bucket, Key }))).Body?.transformToByteArray()) ?? new Uint8Array(0);
  const textsIn = (bytes: Uint8Array) => Buffer.from(bytes).toString("utf8").trimEnd().split("\n");
  return {
    takeFile() {
      const staged = join(folder, ".staged");
      const [name = ""] = readdirSync(staged);
      renameSync(join(staged, name), join(folder, "..", "aside"));
      return { putBack: () => renameSync(join(folder, "..", "aside"), join(staged, name)) };
    },
    async takeObject() {
      const [Key = ""] = (await keys()).filter((key) => key.startsWith("_tidemark/staged/"));
      const Body = await body(Key);
      await s3.send(new DeleteObjectCommand({ Bucket, Key }));
      return { putBack: () => s3.send(new PutObjectCommand({ Bucket, Key, Body })) };
    },
    refuseIncrements: () =>
      dynamo.send(new PutItemCommand({ TableName: "stuck", Item: { word: { S: "w1" }, n: { S: "no number" } } })),
    takeIncrements: () =>
      dynamo.send(
        new UpdateItemCommand({ TableName: "stuck", Key: { word: { S: "w1" } }, UpdateExpression: "REMOVE n" }),
      ),
    async counted() {
      const { Items = [] } = await dynamo.send(new ScanCommand({ TableName: "stuck", ConsistentRead: true }));
      const counted = Items.filter(({ word }) => !word?.S?.startsWith("~tidemark/"));
      return new Map(counted.map(({ word, n }) => [word?.S, Number(n?.N)]));
    },
    lines: () =>
      readdirSync(folder)
        .filter((name) => name.endsWith(".jsonl"))
        .flatMap((name) => textsIn(readFileSync(join(folder, name)))),
    async objectLines() {
      const shown = (await keys()).filter((key) => !key.startsWith("_tidemark/"));
      return (await Promise.all(shown.map(body))).flatMap(textsIn);
    },
  };
}

describe("a commit that can never succeed", () => {
  it("C1 C4 C5 fails the pipeline with its cause; output waits, is listed, and goes on once its target is mended", async () => {
    const { endpoint } = stage.cloud;
    const shut = stage.project.write("shut", "");
    const project = await projectOf({
      name: "stuck",
      to: `words.to("gate", ${gate(shut)});
  words.to("files", fileSink<Word>({ folder: "out" }));
  words.to("lake", s3Files<Word>({ bucket: "stuck" }));
  words.to("counts", dynamoCounters({ table: "stuck", key: ["word"] }));`,
    });
    await drain(project, endpoint);
    const target = targetsAt(endpoint, join(project.folder, "out"));
    await feed(endpoint, "words-stuck", words);
    const fails = async (code: number, message: RegExp, waiting: RegExp) => {
      expectOneMessage(await failing(project, "--until-drained"), code, message);
      const out = await pending(project);
      expect(out).toMatch(new RegExp(`completed, commits pending: .*${waiting.source}`));
      expect(out).toMatch(/the last commit that failed: sink /);
    };

    await fails(
      1,
      /^tidemark: pipeline "stuck" failed: sink "gate": gate: commit: the gate is shut: remove the file\n/,
      /counts \(30 rows\), files \(30 rows\), gate \(30 rows\), lake \(30 rows\)/,
    );
    rmSync(shut);
    const [file, object] = [target.takeFile(), await target.takeObject()];
    await target.refuseIncrements();
    await fails(
      4,
      /^tidemark: pipeline "stuck" failed: sink "files": neither \S+\.staged\S+ nor \S+ is there, although/,
      /files \(30 rows\)/,
    );
    file.putBack();
    await fails(
      4,
      /^tidemark: pipeline "stuck" failed: sink "lake": neither "_tidemark\/staged\S+ nor "\S+ is in the bucket "stuck"/,
      /lake \(30 rows\)/,
    );
    await object.putBack();
    await fails(
      1,
      /^tidemark: pipeline "stuck" failed: sink "counts": dynamo-counters "stuck": apply: .*transaction was cancelled: ValidationError/,
      /counts \(30 rows\)/,
    );
    await target.takeIncrements();
    await drain(project, endpoint);
    expect(await pending(project)).not.toContain("commits pending");

    expect(await target.counted()).toEqual(sums);
    for (const rows of [target.lines(), await target.objectLines()])
      expect(rows.map((line) => (JSON.parse(line) as { n: number }).n).toSorted((a, b) => a - b)).toEqual(
        words.map(({ n }) => n),
      );
  });
});
