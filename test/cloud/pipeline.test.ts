// A pipeline whose sessions run here and whose streams, tables and bucket are those of the chosen cloud. Processes are killed and a
// shard is split while records come; what comes out is compared with a recomputation from the stream itself.

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, it, onTestFinished, vi } from "vitest";
import { seededRandom } from "../../dist/local/runner/queue.js";
import type { DevEvent } from "../../lib/cli/dev/events.js";
import { endAll, nothingIsLeft, type Running } from "../fixtures/cli/command.js";
import { dev } from "../fixtures/cli/dev.js";
import { newProject } from "../fixtures/cli/project.js";
import { seed } from "../integration/zombies/moments.js";
import { inputOf } from "../integration/zombies/stream.js";
import { type Rows, resultOf, someWords, wordsPipeline } from "../integration/zombies/words.js";
import { type Cloud, checkpointKey, openCloud } from "./resources.js";

// An emulator writes about a hundred items a second.
const [count, words] = [3_000, 40];
vi.setConfig({ testTimeout: 400_000 });

const cloud = openCloud();
afterAll(() => {
  endAll();
  cloud.clients.destroy();
});

const name = "words";
const settings = `
  parallelism: 2,
  checkpoint: { interval: "1s", timeout: "10s", tolerableFailures: 100 },
  session: { reserve: "20s" },
  restart: { initialDelay: "100ms", maxDelay: "1s", window: "1s" }`;

/** The physical names of all that the pipeline uses. */
async function makeResources({ createStream, createTable, createBucket }: Cloud) {
  const [stream, byWord, byTag, table, bucket] = await Promise.all([
    createStream(2),
    createTable([{ name: "word", type: "string" }]),
    createTable([{ name: "tag", type: "string" }]),
    createTable(checkpointKey),
    createBucket(),
  ]);
  return { stream, byWord, byTag, table, bucket };
}

type Resources = Awaited<ReturnType<typeof makeResources>>;

const configOf = ({ stream, byWord, byTag, table, bucket }: Resources): string => {
  const bindings = {
    streams: { [`words-${name}`]: stream },
    tables: { [`words-${name}`]: byWord, [`tags-${name}`]: byTag },
  };
  return `export default ${JSON.stringify({ table, bucket, region: cloud.region, bindings })};`;
};

function newPipeline(resources: Resources) {
  const project = newProject({
    "pipeline.ts": wordsPipeline(name, settings),
    "tidemark.config.mjs": configOf(resources),
  });
  onTestFinished(project.remove);
  const aws = cloud.kind === "aws" ? ["--aws"] : [];
  return { run: (...flags: readonly string[]): Running => dev(project, [...aws, ...flags], cloud.variables()) };
}

type Of<K extends DevEvent["event"]> = Extract<DevEvent, { readonly event: K }>;
const eventsOf = <K extends DevEvent["event"]>(running: Running, kind: K): readonly Of<K>[] =>
  running.events().filter((event): event is Of<K> => event.event === kind);

async function anotherCheckpoint(running: Running): Promise<void> {
  const before = eventsOf(running, "status").at(-1)?.checkpoint ?? 0;
  await running.event("status", ({ checkpoint }) => checkpoint !== null && checkpoint > before);
}

/** Kills a process that runs a session. */
async function killSession(running: Running, random: () => number): Promise<void> {
  for (;;) {
    const pids = new Set<number>();
    for (const { state, pid } of eventsOf(running, "session")) {
      if (pid === null) continue;
      if (state === "started") pids.add(pid);
      else pids.delete(pid);
    }
    const pid = [...pids][Math.floor(random() * pids.size)];
    try {
      if (pid !== undefined) return void process.kill(pid, "SIGKILL");
    } catch {
      // It has just ended by itself.
    }
    await sleep(50);
  }
}

/** The rows of a table, without our own attribute, as words. */
async function rowsOf(table: string, key: string): Promise<Rows> {
  const items = await cloud.itemsOf(table);
  const plain = items.map(({ "~tidemark": _, ...item }) =>
    Object.fromEntries(Object.entries(item).map(([attribute, value]) => [attribute, String(value)])),
  );
  return Object.fromEntries(plain.map((row) => [row[key], row]));
}

it("R2 E2 K3: counts are exact after kills and a split", async () => {
  const random = seededRandom(seed);
  const resources = await makeResources(cloud);
  const input = inputOf(cloud.clients.kinesis, resources.stream);
  const { run } = newPipeline(resources);
  const all = someWords(0, count, words);
  const part = (from: number, to: number) => input.put(all.slice(from * count, to * count));

  const first = run("--session", "90s");
  await first.event("ready");
  await part(0, 0.3);
  await anotherCheckpoint(first);
  for (const [from, to] of [
    [0.3, 0.5],
    [0.5, 0.7],
    [0.7, 0.8],
  ] as const) {
    const putting = part(from, to);
    await killSession(first, random);
    if (from === 0.3) await input.reshard("split", random);
    await putting;
    await anotherCheckpoint(first);
  }
  await part(0.8, 0.9);
  // All at once, as when the machine is switched off.
  first.signal("SIGKILL", "group");
  await first.ended;
  await nothingIsLeft(first);
  await part(0.9, 1);
  expect(await run("--until-drained").ended, `seed ${seed}`).toMatchObject({ code: 0, err: "" });

  const records = await input.readAll();
  expect(records).toHaveLength(count);
  const found = { words: await rowsOf(resources.byWord, "word"), tags: await rowsOf(resources.byTag, "tag") };
  expect(found, `seed ${seed}`).toEqual(resultOf(records));
  expect(eventsOf(first, "session").filter(({ state }) => state === "killed").length).toBeGreaterThanOrEqual(3);
  expect(
    eventsOf(first, "failure").filter(({ kind }) => kind !== "died"),
    `seed ${seed}`,
  ).toEqual([]);
});
