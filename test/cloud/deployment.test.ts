// A pipeline as users deploy it, by the command line of the AWS CDK: started by its schedule, handed over from session to session, killed,
// deployed anew while it runs, stopped and removed. What comes out is compared with a recomputation from the stream itself.
import { afterAll, beforeAll, describe, expect, inject, it, vi } from "vitest";
import { resultOf } from "../integration/zombies/words.js";
import { pipelineText } from "./deployment/app.js";
import { everything } from "./deployment/listing.js";
import { newDeployment } from "./deployment/project.js";
import { picked, type RunningDeployment, runningDeployment } from "./deployment/running.js";
import { expectFailureDestination, working } from "./deployment/sessions.js";
import { openCloud } from "./resources.js";

const { kind } = inject("cloud");
vi.setConfig({ testTimeout: 400_000, hookTimeout: 400_000 });

/** It has a bug, which the second one has not. */
const first = pipelineText({ name: "first", newest: false, operator: "count", loses: true });
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
  let run: RunningDeployment;
  let taskFunction: string;

  beforeAll(async () => {
    await deployment.bootstrap();
    atFirst = await everything(cloud);
    const outputs = await deployment.deploy(first);
    run = runningDeployment(cloud, deployment, outputs);
    taskFunction = outputs.Supervisor.replace(/-supervisor:.*/, "-task");
  });
  afterAll(() => {
    cloud.clients.destroy();
    deployment.remove();
  });

  const begun = performance.now();
  const say = (what: string) => console.log(`${((performance.now() - begun) / 1_000).toFixed(1)} s: ${what}`);

  it("R2 R4: its schedule starts it, one that is killed is replaced, a split is followed, and sessions hand over", async () => {
    say("deployed");
    await run.put(400);
    await run.until("rows are shown", async () => ((await cloud.itemsOf(run.outputs.Words)).length > 0 ? true : null));
    const started = await run.status();
    say("its schedule has started it");
    expect(started).toMatchObject({ status: "running", failures: [], code: { functionVersion: "1", deployment: 1 } });

    const putting = run.put(400);
    const [session] = await run.until("sessions work", async () => {
      const found = await working(taskFunction);
      return found.length < started.tasks.length ? null : found;
    });
    const killedAt = Date.now();
    process.kill(session?.pid ?? 0, "SIGKILL");
    const [again] = await Promise.all([run.firstProcessed("after the kill"), putting]);
    say(
      `killed: ${again - killedAt} ms to the first record after it, ${Date.now() - killedAt} ms until all its rows are shown`,
    );
    const after = await run.status();
    expect(after.generation).toBeGreaterThan(started.generation);
    expect(after.failures).toContainEqual(
      expect.objectContaining({ kind: "died", message: expect.stringContaining("SIGKILL") }),
    );

    await Promise.all([run.put(400), run.input.reshard("split", () => 0)]);
    const before = new Map(after.tasks.map(({ task, session }) => [task, session]));
    const later = await run.untilStatus("sessions hand over", ({ tasks }) =>
      tasks.every(({ task, session }) => session !== null && session !== before.get(task)),
    );
    say("sessions have handed over");
    expect(later).toMatchObject({ generation: after.generation, failures: after.failures });
  });

  it("W2 a fork shows here what mended code makes of its stream, from its checkpoint, and writes beside alone", async () => {
    await run.untilShown(false);
    expect(await run.command("savepoint", "--name", "good")).toMatchObject({ done: true });
    const before = await run.status();
    await run.put(200);
    await run.put(100, "late");
    const wrong = await run.untilShown(true);
    say("records came that its code loses");
    deployment.write(second, "fixed.ts");
    const fork = ["--from-checkpoint", "good", "--code", "fixed.ts", "--sinks", "redirect:fixed", "--until-drained"];
    const unmade = await deployment.tidemark("fork", ...fork);
    expect(unmade).toMatchObject({ code: 1, err: expect.stringContaining("or give --create") });
    const forked = await deployment.tidemark("fork", ...fork, "--create", "--json");
    expect(forked, forked.err).toMatchObject({ code: 0 });
    const { Words, Tags } = run.outputs;
    expect(JSON.parse(forked.out.split("\n")[0] ?? "")).toMatchObject({
      fork: "words-fork",
      records: 300,
      made: [`table ${Words}-fixed`, `table ${Tags}-fixed`],
    });
    say("forked");
    const { tags } = resultOf(await run.readAll());
    const beside = await run.rowsOf(`${Tags}-fixed`, "tag");
    expect(picked(beside, ["tag", "n", "sum"])).toEqual(
      Object.fromEntries(Object.entries(tags).filter(([tag]) => tag !== "probe")),
    );
    const compared = await deployment.tidemark("diff", Tags, `${Tags}-fixed`, "--output", "--json");
    const changes = compared.out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    // Probes came before the savepoint: the fork has no row of theirs.
    expect(changes).toMatchObject([
      { change: "changed", key: { tag: "late" }, before: { n: 50 }, now: { n: 100 } },
      { change: "removed", key: { tag: "probe" } },
    ]);
    expect(await run.untilShown(true)).toEqual(wrong);
    expect(await run.status()).toMatchObject({
      generation: before.generation,
      status: "running",
      failures: before.failures,
    });
    expect((await deployment.tidemark("fork", "--delete")).out).toContain("is removed");
    say("compared");
  });

  it("P4: a deploy stops what runs at a checkpoint, and the new code goes on from it", async () => {
    const old = await run.status();
    const putting = run.put(800);
    await deployment.deploy(second);
    say("deployed anew");
    // Whoever asks for something calls the supervisor, which is the new one: nobody waits for the schedule.
    expect(await run.command("savepoint", "--name", "second")).toMatchObject({ done: true });
    const found = await run.untilStatus(
      "the new code runs",
      ({ code, status }) => code.functionVersion === "2" && status === "running",
    );
    expect(found).toMatchObject({
      generation: old.generation + 1,
      reason: "deploy",
      code: { deployment: 2, rejected: [] },
    });
    expect(found.failures).toEqual([]);
    for (const version of ["1", "2"]) await expectFailureDestination(cloud.clients.lambda, taskFunction, version);
    await putting;
    await run.put(400);
    // What the old code made of its records is in the state that the new one goes on from.
    await run.expectExact("second", true);
    await run.until("only the new code works", async () => {
      const versions = new Set((await working(taskFunction)).map(({ version }) => version));
      return versions.size === 1 && versions.has("2") ? true : null;
    });
    say("the new code has gone on");
  });

  it("W2 P4: a replay that cannot be is refused, and what runs goes on", async () => {
    const before = await run.status();
    const refused = async (code: number, why: string, ...args: readonly string[]) => {
      const ended = await deployment.tidemark("replay", "--from-checkpoint", "good", "--yes", ...args);
      expect(ended, args.join(" ")).toMatchObject({ code, out: "", err: expect.stringContaining(why) });
    };
    await refused(2, "say with --sinks what becomes of output");
    await refused(1, 'Deploy with redirectSuffixes: ["replayed","other"]', "--sinks", "redirect:other");
    await refused(1, "or give --create", "--sinks", "redirect:replayed");
    await refused(1, "known are: 1 (version 1), 2 (version 2)", "--sinks", "overwrite", "--deployment", "9");
    const { generation, failures } = await run.status();
    expect({ generation, failures }).toEqual({ generation: before.generation, failures: before.failures });
    say("replays that cannot be were refused");
  });

  it("W2 P4: a replay with the code that was deployed before, beside; then with that of now, over what was wrong", async () => {
    const before = await run.status();
    const wrong = await run.untilShown(true);
    const from = ["--from-checkpoint", "good", "--yes"];
    const replayed = await run.command(
      "replay",
      ...from,
      "--deployment",
      "1",
      "--sinks",
      "redirect:replayed",
      "--create",
    );
    const { Words, Tags } = run.outputs;
    expect(replayed).toMatchObject({
      generation: before.generation + 1,
      made: [`table ${Words}-replayed`, `table ${Tags}-replayed`],
      notes: expect.not.arrayContaining([expect.stringContaining("this file")]),
    });
    expect(await run.status()).toMatchObject({ reason: "replay", code: { functionVersion: "1" } });
    say("replayed beside");
    const beside = () => run.rowsOf(`${Tags}-replayed`, "tag");
    await run.until("it is as it was", async () => ((await beside()).late?.n === wrong.tags.late?.n ? true : null));
    await run.until("only that code works", async () =>
      (await working(taskFunction)).every(({ version }) => version === "1") ? true : null,
    );
    await run.put(200);
    const counted = async () => Object.values(await beside()).reduce((all, { n }) => all + Number(n), 0);
    const ahead = Object.values(wrong.tags).reduce((all, { n }) => all + Number(n), 0);
    const probes = Number(wrong.tags.probe?.n);
    await run.until("records go beside", async () => ((await counted()) === ahead - probes + 200 ? true : null));
    expect({ words: await run.rowsOf(Words, "word"), tags: await run.rowsOf(Tags, "tag") }).toEqual(wrong);
    say("records go beside");

    const mended = await run.command("replay", ...from, "--deployment", "2", "--sinks", "overwrite");
    expect(mended).toMatchObject({ generation: before.generation + 2, changed: true });
    expect(await run.status()).toMatchObject({ reason: "replay", code: { functionVersion: "2" } });
    await run.expectExact("second", false);
    say("replayed over what was wrong");
  });

  it("P4: a deploy of code that throws is taken back, and what ran before goes on", async () => {
    await deployment.deploy(broken);
    say("deployed what throws");
    // Records come all the time, so that it meets one before its first checkpoint.
    let isBack = false;
    const pump = async () => {
      while (!isBack) await run.putSome();
    };
    const watch = async () => {
      try {
        await run.command("savepoint", "--name", "broken");
        return await run.untilStatus(
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
    await run.put(400);
    await run.expectExact("second", false);
    say("what ran before has gone on");
  });

  it("P2: a deploy whose state does not fit is taken back before it fences what runs", async () => {
    const before = await run.status();
    await deployment.deploy(renamed);
    const asked = run.command("savepoint", "--name", "renamed");
    const found = await run.untilStatus("it is taken back", ({ code }) => code.rejected.includes(4));
    await asked;
    expect(found).toMatchObject({
      status: "running",
      generation: before.generation,
      code: { functionVersion: "2", rejection: { message: expect.stringMatching(/operator "count"/) } },
    });
    await run.put(200);
    await run.expectExact("second", false);
    say("state that does not fit was refused");
  });

  it("is stopped, and started again from where it stopped", async () => {
    expect(await run.command("stop", "--savepoint", "pause")).toMatchObject({ status: "stopped", savepoint: "pause" });
    await run.put(200);
    // The file is still that of the deployment that was taken back.
    const refused = await deployment.tidemark("start");
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('operator "count"') });
    deployment.write(second);
    expect(await run.command("start")).toMatchObject({ status: "running", changed: true });
    await run.expectExact("second", false);
    say("started again");
  });

  it("is stopped, and leaves nothing when it is destroyed", async () => {
    expect(await run.command("stop", "--savepoint", "last")).toMatchObject({ status: "stopped", savepoint: "last" });
    expect((await run.status()).savepoints.map(({ name }) => name)).toEqual([
      "good",
      "second",
      "broken",
      "renamed",
      "pause",
      "last",
    ]);
    await run.until("no session works", async () => ((await working(taskFunction)).length === 0 ? true : null));
    await run.removeBeside("fixed", "replayed");
    await deployment.destroy();
    say("destroyed");
    expect(await everything(cloud)).toEqual(atFirst);
  });
});
