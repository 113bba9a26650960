// Two stages in real processes: any of them is killed about every second, shards are split and merged, and the pipeline goes on with
// other numbers of tasks, from a checkpoint that it stopped at and from one that it was killed after. What comes out is compared with
// a recomputation from the stream itself, which shares nothing with the pipeline.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, it, vi } from "vitest";
import type { DevEvent } from "../../lib/cli/dev/events.js";
import { seededRandom } from "../../lib/local/runner/queue.js";
import { makeStream, startTestCloud, type TestCloud } from "../fixtures/cli/cloud.js";
import { endAll, nothingIsLeft, type Running } from "../fixtures/cli/command.js";
import { dev } from "../fixtures/cli/dev.js";
import { newProject, type Project } from "../fixtures/cli/project.js";
import { seed } from "./zombies/moments.js";
import { tablesOf } from "./zombies/stage.js";
import { type Input, openInput } from "./zombies/stream.js";
import { resultOf, someWords, wordsPipeline } from "./zombies/words.js";

const count = Number(process.env.STAGES_RECORDS ?? 24_000);
const words = 400;
/** In parts, so that all goes on while it comes. */
const recordsPerPart = 300;
const partsPerSecond = 10;
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

type Of<K extends DevEvent["event"]> = Extract<DevEvent, { readonly event: K }>;
const eventsOf = <K extends DevEvent["event"]>(running: Running, kind: K): readonly Of<K>[] =>
  running.events().filter((event): event is Of<K> => event.event === kind);
const killsOf = (running: Running): number =>
  eventsOf(running, "session").filter(({ state }) => state === "killed").length;
const generationsOf = (running: Running): ReadonlySet<number> =>
  new Set(eventsOf(running, "status").map(({ generation }) => generation));
const failuresOf = (running: Running): readonly Of<"failure">[] =>
  eventsOf(running, "failure").filter(({ kind }) => kind !== "died");

/** Until it is told to stop, so that all that happens happens while records come. */
function startPutting(input: Input, all: ReturnType<typeof someWords>) {
  let [put, wanted] = [0, 0];
  let failed: unknown = null;
  const work = async () => {
    for (;;) {
      while (put < Math.min(wanted, all.length)) {
        await input.put(all.slice(put, put + recordsPerPart));
        put += recordsPerPart;
        await sleep(1_000 / partsPerSecond);
      }
      if (put >= all.length) return;
      await sleep(20);
    }
  };
  const done = work().catch((error: unknown) => {
    failed = error;
  });
  return {
    /** Resolves when so much of the whole is put. */
    async until(share: number) {
      wanted = Math.round(all.length * share);
      while (put < Math.min(wanted, all.length) && failed === null) await sleep(20);
      if (failed !== null) throw failed;
    },
    done,
  };
}

function openProject(parallelism: number): Project {
  project ??= newProject({});
  project.write("pipeline.ts", wordsPipeline(name, settings(parallelism)));
  return project;
}

const startDev = (parallelism: number, env: TestCloud["env"]): Running =>
  dev(openProject(parallelism), ["--session", "20s"], env);

/** Sessions that run now, by their process. */
function runningPids(running: Running): readonly number[] {
  const pids = new Set<number>();
  for (const { state, pid } of eventsOf(running, "session")) {
    if (pid === null) continue;
    if (state === "started") pids.add(pid);
    else pids.delete(pid);
  }
  return [...pids];
}

/** So many in a row without a complete checkpoint between them: ten would be the pipeline's end. */
const killsBetweenCheckpoints = 3;

/** Kills a process every second or two, whatever it does, and then waits for a checkpoint. */
async function kill(running: Running, kills: number, random: () => number): Promise<void> {
  for (let done = 0, since = 0; done < kills; ) {
    await alive(running, sleep(1_000 + random() * 1_000));
    const pids = runningPids(running);
    const pid = pids[Math.floor(random() * pids.length)];
    if (pid !== undefined && signal(pid)) [done, since] = [done + 1, since + 1];
    if (since < killsBetweenCheckpoints) continue;
    await checkpointed(running);
    since = 0;
  }
  await checkpointed(running);
}

async function checkpointed(running: Running): Promise<void> {
  const last = () => eventsOf(running, "status").at(-1)?.checkpoint ?? 0;
  const before = last();
  while (last() <= before) await alive(running, sleep(50));
}

async function alive(running: Running, waiting: Promise<unknown>): Promise<void> {
  const ended = await Promise.race([waiting.then(() => null), running.ended]);
  if (ended !== null) expect.fail(`${storyOf(running)}\ndev ended with ${ended.code}: ${ended.err}`);
}

/** Whether there was such a process. */
function signal(pid: number): boolean {
  try {
    return process.kill(pid, "SIGKILL");
  } catch {
    return false;
  }
}

/** What has happened in a run, without what comes four times a second. */
const storyOf = (running: Running): string =>
  [
    `seed ${seed}`,
    ...running
      .out()
      .split("\n")
      .filter((line) => !line.startsWith('{"event":"status"')),
  ].join("\n");

it("B2 E2 E3 E4 K2: nothing is lost and nothing counts twice, whatever is killed, split, merged and rescaled", async () => {
  const random = seededRandom(seed);
  cloud = await startTestCloud(openProject(2).folder);
  const { endpoint, env } = cloud;
  await makeStream(endpoint, `words-${name}`, 2);
  const input = openInput(endpoint, `words-${name}`);
  const putting = startPutting(input, someWords(0, count, words));

  const first = startDev(2, env);
  await first.event("ready");
  await Promise.all([kill(first, 4, random), putting.until(0.25).then(() => input.reshard("split", random))]);
  await putting.until(0.35);
  // In the middle of everything: what was on its way between tasks is taken by another number of them.
  first.signal("SIGKILL", "group");
  await first.ended;
  await nothingIsLeft(first);

  const second = startDev(3, env);
  await Promise.all([kill(second, 4, random), putting.until(0.6).then(() => input.reshard("merge", random))]);
  await putting.until(0.7);
  second.signal("SIGINT", "group");
  expect(await second.ended, `seed ${seed}`).toMatchObject({ code: 0 });

  // One task takes over from all, and passes on to several.
  const third = startDev(1, env);
  await Promise.all([kill(third, 1, random), putting.until(0.85)]);
  third.signal("SIGKILL", "group");
  await third.ended;
  const last = startDev(4, env);
  await Promise.all([kill(last, 1, random), putting.until(1)]);
  last.signal("SIGINT", "group");
  expect(await last.ended, `seed ${seed}`).toMatchObject({ code: 0 });
  expect(await dev(openProject(2), ["--until-drained"], env).ended).toMatchObject({ code: 0, err: "" });

  const records = await input.readAll();
  input.close();
  expect(records).toHaveLength(count);
  const runs = [first, second, third, last];
  expect(await tablesOf(endpoint, name), runs.map(storyOf).join("\n\n")).toEqual(resultOf(records));
  for (const running of runs) expect(failuresOf(running), `seed ${seed}`).toEqual([]);
  expect(killsOf(first) + killsOf(second)).toBeGreaterThanOrEqual(4);
  expect(generationsOf(first).size).toBeGreaterThan(2);
});
