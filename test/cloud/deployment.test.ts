// A pipeline as users deploy it, by the command line of the AWS CDK: started by its schedule, handed over from session to session, killed,
// deployed anew while it runs, stopped and removed. What comes out is compared with a recomputation from the stream itself.
import { setTimeout as sleep } from "node:timers/promises";
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
const first = pipelineText({ name: "first", newest: false, counts: "n" });
const second = pipelineText({ name: "second", newest: true, counts: "n" });
const broken = pipelineText({ name: "broken", newest: true, counts: "n", before: 'throw new TypeError("not ready");' });

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
    expect(ended).toMatchObject({ code: 0 });
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

  /** A row of a word that was put now says when it was made: that row is the only one of its word. */
  async function untilProcessed(word: string): Promise<number> {
    await input.put(Array.from({ length: 8 }, (_, n) => ({ word: `${word} ${n}`, seq: seq++, tag: "probe" })));
    return until(`"${word}" is processed`, async () => {
      const found = Object.values(await rowsOf(outputs.Words, "word"));
      const mine = found.filter((row) => String(row.word).startsWith(word));
      return mine.length < 8 ? null : Math.min(...mine.map(({ at }) => Number(at)));
    });
  }

  /** Whether both tables hold what follows from the stream. */
  async function expectExact(releases: readonly string[]): Promise<void> {
    const records = await input.readAll();
    expect(records).toHaveLength(seq);
    const expected = resultOf(records);
    const plain = (items: Awaited<ReturnType<typeof rowsOf>>, names: readonly string[]) =>
      Object.fromEntries(
        Object.entries(items).map(([key, item]) => [
          key,
          Object.fromEntries(names.map((name) => [name, String(item[name])])),
        ]),
      );
    const counts = Object.entries(expected.words).map(([word, { n, digest }]) => [word, { word, n, digest }]);
    await until("all is counted", async () => {
      const tags = Object.values(await rowsOf(outputs.Tags, "tag"));
      return tags.reduce((sum, { n }) => sum + Number(n), 0) >= seq ? true : null;
    });
    await until("all is shown", async () => {
      const rows = Object.values(await rowsOf(outputs.Words, "word"));
      return rows.reduce((sum, { n }) => sum + Number(n), 0) >= seq ? true : null;
    });
    const rows = await rowsOf(outputs.Words, "word");
    expect(plain(rows, ["word", "n", "digest"])).toEqual(Object.fromEntries(counts));
    expect(plain(await rowsOf(outputs.Tags, "tag"), ["tag", "n", "sum"])).toEqual(expected.tags);
    expect(new Set(Object.values(rows).map(({ release }) => release))).toEqual(new Set(releases));
  }

  const T0 = performance.now();
  const say = (what: string) => console.log(`${((performance.now() - T0) / 1000).toFixed(1)} ${what}`);

  it("R2 R4: its schedule starts it, sessions hand over, and one that is killed is replaced", async () => {
    say("deployed");
    await put(400);
    await until("rows are shown", async () => ((await cloud.itemsOf(outputs.Words)).length > 0 ? true : null));
    say("started");
    const started = await status();
    say(JSON.stringify(started));
    expect(started).toMatchObject({ status: "running", failures: [], code: { functionVersion: "1", deployment: 1 } });
    const putting = put(400);
    const [session] = await until("a session works", async () => {
      const found = await working(taskFunction);
      return found.length < 2 ? null : found;
    });
    const killedAt = Date.now();
    process.kill(session?.pid ?? 0, "SIGKILL");
    const [again] = await Promise.all([untilProcessed("after the kill"), putting]);
    console.log(`killed: ${again - killedAt} ms to the first record after it, ${Date.now() - killedAt} ms to its row`);
    const after = await status();
    say(JSON.stringify(after));
    expect(after.generation).toBeGreaterThan(started.generation);
    expect(after.failures.map(({ kind }) => kind)).toContain("died");
    await Promise.all([put(400), input.reshard("split", () => 0)]);
    say("split");
    const over = await untilStatus(
      "sessions hand over",
      ({ generation, tasks }) =>
        tasks.every(({ task, session }) => after.tasks.every((old) => old.task !== task || old.session !== session)) &&
        generation === after.generation,
    );
    say(JSON.stringify(over));
  });

  it("P4: a deploy stops what runs at a checkpoint, and the new code goes on from it", async () => {
    const old = await status();
    const putting = put(800);
    await deployment.deploy(second);
    say("deployed second");
    say(JSON.stringify(await command("savepoint", "--name", "before-second")));
    const found = await untilStatus(
      "the new code runs",
      ({ code, status }) => code.functionVersion === "2" && status === "running",
    );
    say(JSON.stringify(found));
    expect(found).toMatchObject({ generation: old.generation + 1, reason: "deploy" });
    await putting;
    await untilProcessed("after the deploy");
    await put(400);
    await expectExact(["second"]);
    await until("only the new code works", async () => {
      const found = await working(taskFunction);
      return found.length > 0 && found.every(({ version }) => version === "2") ? true : null;
    });
    say("exact");
  });

  it("P4: a deploy of code that cannot run is taken back", async () => {
    await deployment.deploy(broken);
    say("deployed broken");
    await put(400);
    say(JSON.stringify(await command("savepoint", "--name", "before-broken")));
    const found = await untilStatus("it is taken back", ({ code }) => code.rejected.includes(3));
    say(JSON.stringify(found));
    await untilProcessed("after the way back");
    expect(await status()).toMatchObject({
      status: "running",
      code: { functionVersion: "2", rejection: { message: expect.stringContaining("not ready") } },
    });
    await expectExact(["second"]);
  });

  it("stops, and leaves nothing when it is destroyed", async () => {
    say(JSON.stringify(await command("stop", "--savepoint", "last")));
    await until("no session works", async () => ((await working(taskFunction)).length === 0 ? true : null));
    await deployment.destroy();
    say("destroyed");
    say(
      JSON.stringify(
        (await everything(cloud)).filter((x) => !atFirst.includes(x)),
        null,
        1,
      ),
    );
    expect(await everything(cloud)).toEqual(atFirst);
  });
});
