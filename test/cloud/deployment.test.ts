// A pipeline as users deploy it, by the command line of the AWS CDK: started by its schedule, handed over from session to session, killed,
// deployed anew while it runs, stopped and removed. What comes out is compared with a recomputation from the stream itself.
import { setTimeout as sleep } from "node:timers/promises";
import { GetFunctionEventInvokeConfigCommand } from "@aws-sdk/client-lambda";
import { afterAll, beforeAll, describe, expect, inject, it, vi } from "vitest";
import type { StatusReport } from "../../lib/cli/status.js";
import { type Input, inputOf } from "../integration/zombies/stream.js";
import { resultOf, someWords } from "../integration/zombies/words.js";
import { pipelineText } from "./deployment/app.js";
import { everything } from "./deployment/listing.js";
import { newDeployment, type Outputs } from "./deployment/project.js";
import { working } from "./deployment/sessions.js";
import { openCloud } from "./resources.js";

const { kind } = inject("cloud");
const patience = 180_000;
vi.setConfig({ testTimeout: 400_000, hookTimeout: 400_000 });

/** How many words there are, each of which comes once in so many records. */
const words = 40;
const first = pipelineText({ name: "first", newest: false, operator: "count" });
const second = pipelineText({ name: "second", newest: true, operator: "count" });
const broken = pipelineText({
  name: "broken",
  newest: true,
  operator: "count",
  before: 'throw new TypeError("not ready");',
});
const renamed = pipelineText({ name: "renamed", newest: true, operator: "counted" });

// The embedded cloud has no Lambda, and processes of functions can be killed only where they are ours.
describe.skipIf(kind !== "localstack")("a deployment, on LocalStack alone", () => {
  const cloud = openCloud();
  const deployment = newDeployment(cloud);
  let atFirst: readonly string[];
  let outputs: Outputs;
  let input: Input;
  let taskFunction: string;
  let seq = 0;

  beforeAll(async () => {
    await deployment.bootstrap();
    atFirst = await everything(cloud);
    outputs = await deployment.deploy(first);
    input = inputOf(cloud.clients.kinesis, outputs.Stream);
    taskFunction = outputs.Supervisor.replace(/-supervisor:.*/, "-task");
  });
  afterAll(() => {
    cloud.clients.destroy();
    deployment.remove();
  });

  async function put(count: number): Promise<void> {
    const records = someWords(seq, count, words);
    seq += count;
    await input.put(records);
  }

  async function command(name: string, ...args: readonly string[]): Promise<Record<string, unknown>> {
    const ended = await deployment.tidemark(name, "--json", ...args);
    expect(ended, ended.err).toMatchObject({ code: 0 });
    return JSON.parse(ended.out) as Record<string, unknown>;
  }
  const status = async () => (await command("status")) as unknown as StatusReport;

  async function until<T>(what: string, look: () => Promise<T | null>): Promise<T> {
    const begun = performance.now();
    for (;;) {
      const found = await look();
      if (found !== null) return found;
      if (performance.now() - begun > patience)
        expect.fail(`${what}: not within ${patience} ms; ${JSON.stringify(await status(), null, 1)}`);
      await sleep(200);
    }
  }

  const untilStatus = (what: string, fits: (status: StatusReport) => boolean) =>
    until(what, async () => {
      const found = await status();
      return fits(found) ? found : null;
    });

  const rowsOf = async (table: string, key: string) =>
    Object.fromEntries((await cloud.itemsOf(table)).map((item) => [String(item[key]), item]));

  /** Puts words that come once: when their records were processed, for what is in the tables now. The earliest of them. */
  async function firstProcessed(about: string): Promise<number> {
    const probes = Array.from({ length: 8 }, (_, n) => ({ word: `${about} ${n}`, seq: seq + n, tag: "probe" }));
    seq += probes.length;
    await input.put(probes);
    return until(`"${about}" is processed`, async () => {
      const rows = await rowsOf(outputs.Words, "word");
      const times = probes.flatMap(({ word }) => rows[word]?.at ?? []);
      return times.length < probes.length ? null : Math.min(...times.map(Number));
    });
  }

  /** Both tables hold what follows from the stream; the release is the one that has made all rows of words that still come. */
  async function expectExact(release: "second"): Promise<void> {
    const records = await input.readAll();
    expect(records).toHaveLength(seq);
    const sum = (rows: Awaited<ReturnType<typeof rowsOf>>) =>
      Object.values(rows).reduce((all, { n }) => all + Number(n), 0);
    const [byWord, byTag] = await until("all is shown", async () => {
      const [words, tags] = await Promise.all([rowsOf(outputs.Words, "word"), rowsOf(outputs.Tags, "tag")]);
      return sum(words) >= seq && sum(tags) >= seq ? ([words, tags] as const) : null;
    });
    const expected = resultOf(records);
    expect(picked(byTag, ["tag", "n", "sum"])).toEqual(expected.tags);
    expect(picked(byWord, ["word", "n", "digest"])).toEqual(picked(expected.words, ["word", "n", "digest"]));
    const newest = new Map(records.map((record) => [record.word, record.seq]));
    const coming = Object.values(byWord).filter(({ word }) => /^w\d+$/.test(String(word)));
    expect(coming).toHaveLength(words);
    for (const row of coming) expect(row).toMatchObject({ release, newest: newest.get(String(row.word)) });
  }

  /** A session that fails is told to the supervisor, whichever of these versions it is of. */
  async function expectSettings(versions: readonly string[]): Promise<void> {
    const { lambda } = cloud.clients;
    const FunctionName = taskFunction;
    for (const Qualifier of versions) {
      const settings = await lambda.send(new GetFunctionEventInvokeConfigCommand({ FunctionName, Qualifier }));
      expect(settings).toMatchObject({
        MaximumRetryAttempts: 0,
        MaximumEventAgeInSeconds: 60,
        DestinationConfig: { OnFailure: { Destination: expect.stringMatching(/-supervisor:live$/) } },
      });
    }
  }

  const begun = performance.now();
  const say = (what: string) => console.log(`${((performance.now() - begun) / 1_000).toFixed(1)} s: ${what}`);

  it("R2 R4: its schedule starts it, one that is killed is replaced, a split is followed, and sessions hand over", async () => {
    say("deployed");
    await put(400);
    await until("rows are shown", async () => ((await cloud.itemsOf(outputs.Words)).length > 0 ? true : null));
    const started = await status();
    say("its schedule has started it");
    expect(started).toMatchObject({ status: "running", failures: [], code: { functionVersion: "1", deployment: 1 } });

    const putting = put(400);
    const [session] = await until("sessions work", async () => {
      const found = await working(taskFunction);
      return found.length < started.tasks.length ? null : found;
    });
    const killedAt = Date.now();
    process.kill(session?.pid ?? 0, "SIGKILL");
    const [again] = await Promise.all([firstProcessed("after the kill"), putting]);
    say(
      `killed: ${again - killedAt} ms to the first record after it, ${Date.now() - killedAt} ms until all its rows are shown`,
    );
    const after = await status();
    expect(after.generation).toBeGreaterThan(started.generation);
    expect(after.failures).toContainEqual(
      expect.objectContaining({ kind: "died", message: expect.stringContaining("SIGKILL") }),
    );

    await Promise.all([put(400), input.reshard("split", () => 0)]);
    const before = new Map(after.tasks.map(({ task, session }) => [task, session]));
    const later = await untilStatus("sessions hand over", ({ tasks }) =>
      tasks.every(({ task, session }) => session !== null && session !== before.get(task)),
    );
    say("sessions have handed over");
    expect(later).toMatchObject({ generation: after.generation, failures: after.failures });
  });

  it("P4: a deploy stops what runs at a checkpoint, and the new code goes on from it", async () => {
    const old = await status();
    const putting = put(800);
    await deployment.deploy(second);
    say("deployed anew");
    // Whoever asks for something calls the supervisor, which is the new one: nobody waits for the schedule.
    expect(await command("savepoint", "--name", "second")).toMatchObject({ done: true });
    const found = await untilStatus(
      "the new code runs",
      ({ code, status }) => code.functionVersion === "2" && status === "running",
    );
    expect(found).toMatchObject({
      generation: old.generation + 1,
      reason: "deploy",
      code: { deployment: 2, rejected: [] },
    });
    expect(found.failures).toEqual([]);
    await expectSettings(["1", "2"]);
    await putting;
    await put(400);
    await expectExact("second");
    await until("only the new code works", async () => {
      const versions = new Set((await working(taskFunction)).map(({ version }) => version));
      return versions.size === 1 && versions.has("2") ? true : null;
    });
    say("the new code has gone on");
  });

  it("P4: a deploy of code that throws is taken back, and what ran before goes on", async () => {
    await deployment.deploy(broken);
    say("deployed what throws");
    // Records come all the time, so that it meets one before its first checkpoint.
    let isBack = false;
    const pump = async () => {
      while (!isBack) await put(words);
    };
    const watch = async () => {
      try {
        await command("savepoint", "--name", "broken");
        return await untilStatus(
          "it is taken back",
          ({ code }) => code.rejected.includes(3) && code.functionVersion === "2",
        );
      } finally {
        isBack = true;
      }
    };
    const [found] = await Promise.all([watch(), pump()]);
    expect(found).toMatchObject({
      status: "running",
      code: { rejection: { message: expect.stringContaining("not ready") } },
    });
    await put(400);
    await expectExact("second");
    say("what ran before has gone on");
  });

  it("P2: a deploy whose state does not fit is taken back before it fences what runs", async () => {
    const before = await status();
    await deployment.deploy(renamed);
    const asked = command("savepoint", "--name", "renamed");
    const found = await untilStatus("it is taken back", ({ code }) => code.rejected.includes(4));
    await asked;
    expect(found).toMatchObject({
      status: "running",
      generation: before.generation,
      code: { functionVersion: "2", rejection: { message: expect.stringMatching(/operator "count"/) } },
    });
    await put(200);
    await expectExact("second");
    say("state that does not fit was refused");
  });

  it("is stopped, and started again from where it stopped", async () => {
    expect(await command("stop", "--savepoint", "pause")).toMatchObject({ status: "stopped", savepoint: "pause" });
    await put(200);
    // The file is still that of the deployment that was taken back.
    const refused = await deployment.tidemark("start");
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('operator "count"') });
    deployment.write(second);
    expect(await command("start")).toMatchObject({ status: "running", changed: true });
    await expectExact("second");
    say("started again");
  });

  it("is stopped, and leaves nothing when it is destroyed", async () => {
    expect(await command("stop", "--savepoint", "last")).toMatchObject({ status: "stopped", savepoint: "last" });
    expect((await status()).savepoints.map(({ name }) => name)).toEqual([
      "second",
      "broken",
      "renamed",
      "pause",
      "last",
    ]);
    await until("no session works", async () => ((await working(taskFunction)).length === 0 ? true : null));
    await deployment.destroy();
    say("destroyed");
    expect(await everything(cloud)).toEqual(atFirst);
  });
});

type Items = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** Some members of rows, as words. */
const picked = (rows: Items, names: readonly string[]) =>
  Object.fromEntries(
    Object.entries(rows).map(([key, row]) => [key, Object.fromEntries(names.map((name) => [name, String(row[name])]))]),
  );
