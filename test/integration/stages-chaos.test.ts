// Two stages in real processes: any of them is killed about every second, shards are split and merged, and the pipeline goes on with
// other numbers of tasks, from a checkpoint that it stopped at and from one that it was killed after. What comes out is compared with
// a recomputation from the stream itself, which shares nothing with the pipeline.
import { afterAll, expect, it, vi } from "vitest";
import { seededRandom } from "../../lib/local/runner/queue.js";
import { makeStream, startTestCloud, type TestCloud } from "../fixtures/cli/cloud.js";
import { endAll, nothingIsLeft, type Running } from "../fixtures/cli/command.js";
import { dev } from "../fixtures/cli/dev.js";
import { failuresOf, generationsOf, kill, killsOf, storyOf } from "../fixtures/cli/kills.js";
import { newProject, type Project } from "../fixtures/cli/project.js";
import { seed } from "./zombies/moments.js";
import { startPutting } from "./zombies/putting.js";
import { tablesOf } from "./zombies/stage.js";
import { openInput } from "./zombies/stream.js";
import { resultOf, someWords, wordsPipeline } from "./zombies/words.js";

const count = Number(process.env.STAGES_RECORDS ?? 24_000);
const words = 400;
const pace = { recordsPerPart: 300, partsPerSecond: 10 };
// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 150_000 + count * 3, hookTimeout: 60_000 });

const name = "stages";
const settings = (parallelism: number): string => `
  parallelism: ${parallelism},
  checkpoint: { interval: "400ms", timeout: "4s", tolerableFailures: 100 },
  session: { reserve: "8s" },
  restart: { initialDelay: "50ms", maxDelay: "200ms", window: "1s" }`;

let project: Project | null = null;
let cloud: TestCloud | null = null;
afterAll(async () => {
  await cloud?.close();
  endAll();
  project?.remove();
});

function openProject(parallelism: number): Project {
  project ??= newProject({});
  project.write("pipeline.ts", wordsPipeline(name, settings(parallelism)));
  return project;
}

const startDev = (parallelism: number, env: TestCloud["env"]): Running =>
  dev(openProject(parallelism), ["--session", "20s"], env);

it(`B2 E2 E3 E4 K2: nothing is lost and nothing counts twice, whatever is killed, split, merged and rescaled (seed ${seed})`, async () => {
  const random = seededRandom(seed);
  cloud = await startTestCloud(openProject(2).folder);
  const { endpoint, env } = cloud;
  await makeStream(endpoint, `words-${name}`, 2);
  const input = openInput(endpoint, `words-${name}`);
  const putting = startPutting(input, someWords(0, count, words), pace);

  const first = startDev(2, env);
  await first.event("ready");
  await Promise.all([
    kill(first, { least: 4, random }),
    putting.until(0.25).then(() => input.reshard("split", random)),
  ]);
  await putting.until(0.35);
  // In the middle of everything: what was on its way between tasks is taken by another number of them.
  first.signal("SIGKILL", "group");
  await first.ended;
  await nothingIsLeft(first);

  const second = startDev(3, env);
  await Promise.all([
    kill(second, { least: 4, random }),
    putting.until(0.6).then(() => input.reshard("merge", random)),
  ]);
  await putting.until(0.7);
  second.signal("SIGINT", "group");
  expect(await second.ended, `seed ${seed}`).toMatchObject({ code: 0 });

  // One task takes over from all, and passes on to several.
  const third = startDev(1, env);
  await Promise.all([kill(third, { least: 1, random }), putting.until(0.85)]);
  third.signal("SIGKILL", "group");
  await third.ended;
  const last = startDev(4, env);
  await Promise.all([kill(last, { least: 1, random }), putting.until(1)]);
  last.signal("SIGINT", "group");
  expect(await last.ended, `seed ${seed}`).toMatchObject({ code: 0 });
  expect(await dev(openProject(2), ["--until-drained"], env).ended).toMatchObject({ code: 0, err: "" });

  const records = await input.readAll();
  input.close();
  expect(records).toHaveLength(count);
  const runs = [first, second, third, last];
  expect(await tablesOf(endpoint, name), [`seed ${seed}`, ...runs.map(storyOf)].join("\n\n")).toEqual(
    resultOf(records),
  );
  for (const running of runs) expect(failuresOf(running), `seed ${seed}`).toEqual([]);
  expect(killsOf(first) + killsOf(second)).toBeGreaterThanOrEqual(4);
  expect(generationsOf(first).size).toBeGreaterThan(2);
});
