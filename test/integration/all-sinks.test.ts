// Every sink at once, in real processes: two stages write to DynamoDB, to counters there, to files in S3 and on the disk, to Kinesis and
// to PostgreSQL, while records come, any process is killed about every second, commits are lost on their way to the database, shards are
// split and merged, and the pipeline goes on with other numbers of tasks. Programs that share nothing with tidemark look at the sinks
// meanwhile, and compare them at the end with what the records make.
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, expect, it, onTestFinished, vi } from "vitest";
import { seededRandom } from "../../lib/local/runner/queue.js";
import { makeStream, startTestCloud } from "../fixtures/cli/cloud.js";
import { endAll, nothingIsLeft, type Running, startProgram } from "../fixtures/cli/command.js";
import { dev } from "../fixtures/cli/dev.js";
import { failuresOf, generationsOf, kill, killsOf, storyOf } from "../fixtures/cli/kills.js";
import { newProject } from "../fixtures/cli/project.js";
import { startPostgres } from "../fixtures/postgres/server.js";
import { commitWay } from "../fixtures/postgres/way.js";
import { harmAll, harmedSinks } from "./all-sinks/harm.js";
import { configText, createTables, name, pipelineText } from "./all-sinks/project.js";
import { seed } from "./zombies/moments.js";
import { startPutting } from "./zombies/putting.js";
import { openInput } from "./zombies/stream.js";
import { someWords } from "./zombies/words.js";

const count = Number(process.env.ALL_SINKS_RECORDS ?? 4_000);
/** A prime: every word has records of every tag. */
const words = 397;
/** Few records come for twenty seconds, many come a thousand a second. */
const pace = { recordsPerPart: Math.min(100, Math.ceil(count / 200)), partsPerSecond: 10 };
// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 300_000 + count * 10, hookTimeout: 60_000 });

const server = await startPostgres();
const way = await commitWay(server.port);
const project = newProject({ "tidemark.config.ts": configText });
afterAll(async () => {
  endAll();
  await way.close();
  await server.close();
  project.remove();
});

interface Found {
  readonly wrong: Readonly<Record<string, unknown>>;
  readonly figures: Readonly<Record<string, unknown>>;
}

const startScript = (script: string, options: Readonly<Record<string, unknown>>): Running =>
  startProgram(
    process.execPath,
    [fileURLToPath(new URL(`./all-sinks/${script}`, import.meta.url)), JSON.stringify(options)],
    { cwd: project.folder, env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true" } },
  );

async function foundBy(script: Running): Promise<Found> {
  const { code, out, err } = await script.ended;
  expect({ code, err }).toEqual({ code: 0, err: "" });
  return JSON.parse(out) as Found;
}

/** All that must come out right is prepared: records are put meanwhile, commits are lost, and sinks are looked at. */
async function openStage() {
  await createTables(server);
  const cloud = await startTestCloud(project.folder);
  onTestFinished(() => cloud.close());
  const lines = someWords(0, count, words);
  const options = {
    endpoint: cloud.endpoint,
    database: server.url,
    pipeline: name,
    folder: `${project.folder}/out`,
    lines: project.write("lines.jsonl", lines.map((line) => JSON.stringify(line)).join("\n")),
  };
  for (const stream of ["words", "numbered"]) await makeStream(cloud.endpoint, stream, 2);
  const [input, output] = [openInput(cloud.endpoint, "words"), openInput(cloud.endpoint, "numbered")];
  const chance = seededRandom(seed + 1);
  const losing = setInterval(() => way.lose(chance() < 0.5 ? "request" : "answer"), 2_000);
  onTestFinished(() => {
    clearInterval(losing);
    for (const stream of [input, output]) stream.close();
  });
  const env = { ...cloud.env, SHOP_URL: server.url.replace(`:${server.port}/`, `:${way.port}/`) };
  const startDev = (parallelism: number, flags: readonly string[] = ["--session", "30s"]) => {
    project.write("pipeline.ts", pipelineText(parallelism));
    return dev(project, flags, env);
  };
  return { input, output, options, startDev, putting: startPutting(input, lines, pace) };
}

/** A checkpoint: the sampler saw something of it. */
const some = expect.toSatisfy((checkpoint: number) => checkpoint > 0);

const recordsOf = (running: Running): number =>
  Math.max(0, ...running.events().map((event) => (event.event === "status" ? event.records : 0)));

it(`B2 C1 C2 C4 C5 C6 W1 W4: all sinks have every row once, whatever is killed, lost, split and rescaled (seed ${seed})`, async () => {
  const random = seededRandom(seed);
  const { input, output, options, startDev, putting } = await openStage();

  const first = startDev(2);
  await first.event("ready");
  const sampler = startScript("sample.mjs", options);
  const split = async () => {
    await putting.until(0.25);
    for (const stream of [input, output]) await stream.reshard("split", random);
  };
  await kill(first, { least: 3, during: split(), random });
  await putting.until(0.3);
  // In the middle of everything: what is prepared is shown by other tasks, of another number.
  first.signal("SIGKILL", "group");
  await first.ended;
  await nothingIsLeft(first);

  const second = startDev(3);
  const merge = async () => {
    await putting.until(0.6);
    for (const stream of [input, output]) await stream.reshard("merge", random);
  };
  await kill(second, { least: 3, during: merge(), random });
  await putting.until(0.65);
  second.signal("SIGINT", "group");
  expect(await second.ended).toMatchObject({ code: 0 });

  const third = startDev(2);
  const read = async () => {
    await putting.until(1);
    while (recordsOf(third) < count * 0.9) await sleep(100);
  };
  await kill(third, { least: 2, during: read(), random });
  third.signal("SIGKILL", "group");
  await third.ended;
  await nothingIsLeft(third);
  expect(await startDev(2, ["--until-drained"]).ended).toMatchObject({ code: 0, err: "" });

  sampler.signal("SIGTERM", "alone");
  const seen = await foundBy(sampler);
  const kept = await foundBy(startScript("check.mjs", options));
  const runs = [first, second, third];
  const kills = runs.reduce((sum, running) => sum + killsOf(running), 0);
  const story = runs.map(storyOf).join("\n\n");
  if (process.env.ALL_SINKS_RECORDS !== undefined)
    console.log(
      JSON.stringify({ kills, generations: Math.max(...generationsOf(third)), lost: way.lost(), seen, kept }),
    );
  expect(kept.wrong, story).toEqual({});
  expect(seen.wrong, story).toEqual({});
  // A session may meet one lost commit after the other until it gives up; the next one goes on.
  const failures = runs.flatMap(failuresOf).filter(({ kind }) => kind !== "transient");
  expect(failures).toEqual([]);
  expect(kills).toBeGreaterThanOrEqual(6);
  expect(way.lost()).toBeGreaterThan(0);
  expect(kept.figures).toMatchObject({ records: count, stream: count, ledger: count, lines: count, lake: count });
  const { newest, whileOneIsPending } = seen.figures;
  expect(newest).toEqual({
    raw: some,
    lake: some,
    lines: some,
    stream: some,
    items: some,
    counters: some,
    database: some,
  });
  expect(whileOneIsPending).toBeGreaterThan(0);

  // What compares them tells of each sink that has a row too many, too few, or another one.
  await harmAll(options.endpoint, server, options.folder);
  const { wrong } = await foundBy(startScript("check.mjs", options));
  expect([...new Set(Object.keys(wrong).map((what) => what.split(":")[0]))].sort()).toEqual(harmedSinks);
});
