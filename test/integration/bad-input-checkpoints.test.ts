// Checkpoints that are not what a command takes them for: of another pipeline, without a head, no longer kept. One message that says
// what to do, and everything stays as it was.
import { DeleteItemCommand, DeleteTableCommand, GetItemCommand } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import {
  countsOf,
  feed,
  makeStream,
  objects,
  readObject,
  someWords,
  startTestCloud,
  type TestCloud,
  totals,
  writeObject,
} from "../fixtures/cli/cloud.js";
import { endAll, run } from "../fixtures/cli/command.js";
import { checkpointsText } from "../fixtures/cli/dev.js";
import { countPipeline, newProject, type Project, rarely } from "../fixtures/cli/project.js";
import { drain, expectOneMessage, expectRefusedDev } from "../fixtures/cli/refusal.js";
import { dynamoAt } from "./cloud-clients.js";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const bucket = "tidemark-dev";
const table = "tidemark-dev";
const words = someWords(2_400, 300);

interface Stage {
  readonly name: string;
  readonly project: Project;
  readonly cloud: TestCloud;
  /** Runs a command on the pipeline's file, in the cloud. */
  command(command: string, ...rest: readonly string[]): ReturnType<typeof run>;
  ids(): Promise<readonly number[]>;
}

async function stageOf(name: string, cloud: TestCloud | null, settings = rarely): Promise<Stage> {
  const project = newProject({ "pipeline.ts": countPipeline({ name, settings }) });
  const own = cloud ?? (await startTestCloud(project.folder));
  await makeStream(own.endpoint, `words-${name}`);
  return {
    name,
    project,
    cloud: own,
    command: (command, ...rest) => run([command, "pipeline.ts", ...rest], { cwd: project.folder, env: own.env }),
    ids: async () => (JSON.parse(await checkpointsText(project, own.env)) as { id: number }[]).map(({ id }) => id),
  };
}

const headItem = (name: string) => ({ TableName: table, Key: { pk: { S: name }, sk: { S: "head" } } });

async function loseHead(stage: Stage): Promise<void> {
  const client = dynamoAt(stage.cloud.endpoint, "HTTP/1.1");
  await client.send(new DeleteItemCommand(headItem(stage.name)));
  client.destroy();
}

async function hasHead(stage: Stage): Promise<boolean> {
  const client = dynamoAt(stage.cloud.endpoint, "HTTP/1.1");
  const { Item } = await client.send(new GetItemCommand(headItem(stage.name)));
  client.destroy();
  return Item !== undefined;
}

const all = (stage: Stage) => objects(stage.cloud.endpoint, bucket, `${stage.name}/`);

let one: Stage;
let other: Stage;
beforeAll(async () => {
  one = await stageOf("one", null);
  other = await stageOf("other", one.cloud);
  for (const stage of [one, other]) {
    await feed(stage.cloud.endpoint, `words-${stage.name}`, words.slice(0, 600));
    await drain(stage.project, stage.cloud.endpoint);
  }
  for (let i = 0; i < 2; i++) await drain(other.project, other.cloud.endpoint);
});
afterAll(async () => {
  await one.cloud.close();
  endAll();
  for (const stage of [one, other]) stage.project.remove();
});

describe("verify", () => {
  it("P3 says that a checkpoint is what was written, and what it read", async () => {
    const before = await all(one);
    const [id] = await one.ids();
    const text = await one.command("verify", "latest");
    expect(text).toMatchObject({ code: 0, err: "" });
    expect(text.out).toMatch(
      new RegExp(`^checkpoint ${id} of generation 1 is what was written\\nread \\d+ objects, [\\d,]+ bytes`),
    );
    const json = await one.command("verify", String(id), "--json");
    expect(json).toMatchObject({ code: 0, err: "" });
    expect(JSON.parse(json.out)).toMatchObject({ checkpoint: { checkpointId: id }, problems: [], problemCount: 0 });
    expect(await all(one)).toEqual(before);
  });

  it("P3 a byte that was flipped: names the object, and ends with 4", async () => {
    const key = Object.keys(await all(one)).findLast((name) => name.includes("/manifest-")) ?? "";
    const bytes = await readObject(one.cloud.endpoint, bucket, key);
    await writeObject(
      one.cloud.endpoint,
      bucket,
      key,
      bytes.map((byte, index) => (index === 40 ? byte ^ 1 : byte)),
    );
    const [id] = await one.ids();
    const found = await one.command("verify", "latest");
    expect(found).toMatchObject({ code: 4, err: "" });
    expect(found.out).toMatch(new RegExp(`checkpoint ${id} .* is NOT what was written: 1 problem\\n  .*${key}`));
    const json = await one.command("verify", "latest", "--json");
    expect({ code: json.code, count: JSON.parse(json.out).problemCount }).toEqual({ code: 4, count: 1 });
    await writeObject(one.cloud.endpoint, bucket, key, bytes);
    expect((await one.command("verify", "latest")).code).toBe(0);
  });

  it("the id of a checkpoint of another pipeline, or none at all: names those that are there", async () => {
    const [mine, theirs] = [await one.ids(), await other.ids()];
    const foreign = theirs.find((id) => !mine.includes(id));
    for (const id of [String(foreign), "0", "newest", "-1e9"]) {
      const ended = await one.command("verify", "--", id);
      expectOneMessage(
        ended,
        1,
        new RegExp(
          `pipeline "one" has no checkpoint or savepoint "${id}" that can be restored.*; checkpoints: ${mine.join(", ")}; savepoints: none`,
        ),
      );
    }
  });

  it("a pipeline that never ran", async () => {
    const never = await stageOf("never", one.cloud);
    for (const ended of [await never.command("verify", "latest"), await never.command("checkpoints")])
      expectOneMessage(ended, 1, /pipeline "never" has never run in this environment/);
    expectOneMessage(
      await never.command("recover"),
      1,
      /pipeline "never" has no complete checkpoint under never\/ in the bucket: nothing to recover/,
    );
    never.project.remove();
  });
});

describe("R7 a head that was lost", () => {
  const lost =
    /has checkpoints in the bucket \(one\/[0-9a-f]{12}\/completed\/\), but the table has no head.*"tidemark recover".*another name/;

  it("R7 while it is there nothing is recovered", async () => {
    const before = await all(one);
    expectOneMessage(
      await one.command("recover"),
      1,
      /pipeline "one" has its head \((?:finished|stopped), generation 1/,
    );
    expect(await all(one)).toEqual(before);
  });

  it("R7 is no new beginning: dev and what looks at checkpoints refuse, and nothing changes", async () => {
    await loseHead(one);
    const before = await all(one);
    await expectRefusedDev(one.project, { pipeline: "one", endpoint: one.cloud.endpoint }, 1, lost);
    expectOneMessage(await one.command("checkpoints"), 1, lost);
    expectOneMessage(await one.command("verify", "latest"), 1, lost);
    expect(await all(one)).toEqual(before);
    expect(await hasHead(one)).toBe(false);
    expect(await totals(one.cloud.endpoint, "totals-one")).toEqual(countsOf(words.slice(0, 600)));
  });

  it("R7 where two incarnations left checkpoints it asks which", async () => {
    const [key = ""] = Object.keys(await all(one)).filter((name) => name.includes("/completed/"));
    const copy = key.replace(/^one\/[0-9a-f]{12}/, "one/ffffffffffff");
    await writeObject(one.cloud.endpoint, bucket, copy, await readObject(one.cloud.endpoint, bucket, key));
    expectOneMessage(await one.command("recover"), 1, /several incarnations .*ffffffffffff; say with --incarnation/);
    expect(await hasHead(one)).toBe(false);
    const dry = await one.command("recover", "--incarnation", key.split("/")[1] ?? "", "--dry-run");
    expect(dry).toMatchObject({ code: 0, err: "" });
    await writeObject(one.cloud.endpoint, bucket, copy, Buffer.of());
    expectOneMessage(
      await one.command("recover", "--incarnation", "ffffffffffff"),
      4,
      /newest complete checkpoint of pipeline "one" is not whole/,
    );
  });

  it("a checkpoint of another pipeline is none to go on from", async () => {
    const incarnation =
      Object.keys(await all(one))
        .find((key) => !key.includes("ffffffffffff"))
        ?.split("/")[1] ?? "";
    const foreign = (await other.ids())[0];
    const ended = await one.command("recover", "--incarnation", incarnation, "--checkpoint", String(foreign));
    expectOneMessage(
      ended,
      1,
      new RegExp(`checkpoint ${foreign} of pipeline "one" cannot be gone on from; these can: \\d`),
    );
    expect((await one.command("recover", "--checkpoint", "x")).code).toBe(2);
  });

  it("R7 recover says what it would do, does it, and the next dev goes on exactly", async () => {
    const incarnation =
      Object.keys(await all(one))
        .find((key) => !key.includes("ffffffffffff"))
        ?.split("/")[1] ?? "";
    const args = ["recover", "--incarnation", incarnation] as const;
    const dry = await one.command(...args, "--dry-run");
    expect(dry.out).toMatch(
      /would be rebuilt: incarnation [0-9a-f]{12}, generation 2, stopped at checkpoint \d+\n[\s\S]*Nothing was changed/,
    );
    expect(await hasHead(one)).toBe(false);
    const done = await one.command(...args, "--json");
    expect(done).toMatchObject({ code: 0, err: "" });
    expect(JSON.parse(done.out)).toMatchObject({ pipeline: "one", incarnation, generation: 2, done: true });
    expect(await one.ids()).toEqual(JSON.parse(done.out).restorable);
    expect((await one.command("verify", "latest")).code).toBe(0);
    await feed(one.cloud.endpoint, "words-one", words.slice(600, 1_200));
    await drain(one.project, one.cloud.endpoint);
    expect(await totals(one.cloud.endpoint, "totals-one")).toEqual(countsOf(words.slice(0, 1_200)));
  });

  it("R7 the whole table: recover makes it on this machine, and every pipeline goes on exactly", async () => {
    const client = dynamoAt(one.cloud.endpoint, "HTTP/1.1");
    await client.send(new DeleteTableCommand({ TableName: table }));
    client.destroy();
    expectOneMessage(
      await other.command("recover", "--dry-run"),
      1,
      /there is no table: .*create it with the string keys "pk"/,
    );
    expect((await other.command("recover")).code).toBe(0);
    await feed(other.cloud.endpoint, "words-other", words.slice(600, 900));
    await drain(other.project, other.cloud.endpoint);
    expect(await totals(other.cloud.endpoint, "totals-other")).toEqual(countsOf(words.slice(0, 900)));
  });
});

describe("G2 what is no longer kept", () => {
  it("G1 G2 the list ends at the floor, and an older checkpoint is none any more", async () => {
    const stage = await stageOf("kept", one.cloud, 'checkpoint: { interval: "200ms", timeout: "5s", retained: 1 }');
    for (let at = 0; at < 900; at += 300) {
      await feed(stage.cloud.endpoint, "words-kept", words.slice(at, at + 300));
      await drain(stage.project, stage.cloud.endpoint);
    }
    const ids = await stage.ids();
    expect(ids.length).toBeGreaterThanOrEqual(1);
    expect(ids).not.toContain(1);
    expect(ids[0]).toBeGreaterThan(ids.length);
    expectOneMessage(
      await stage.command("verify", "1"),
      1,
      /has no checkpoint or savepoint "1" that can be restored \(.* is kept no longer\)/,
    );
    for (const id of ids) expect((await stage.command("verify", String(id))).code).toBe(0);
    expect(await totals(stage.cloud.endpoint, "totals-kept")).toEqual(countsOf(words.slice(0, 900)));
    stage.project.remove();
  });
});
