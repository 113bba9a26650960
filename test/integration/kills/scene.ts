// A pipeline on a cloud, commands that are killed while they work on it, and what stands there then.
import { expect, onTestFinished } from "vitest";
import { type CheckpointStore, readDesired, readGenerationRecord, readHead } from "../../../dist/checkpoint/store.js";
import { openTarget, storeOf } from "../../../dist/cli/environment.js";
import type { Desired, GenerationRecord, Head } from "../../../dist/model/head.js";
import { feed, makeStream, objects, startTestCloud } from "../../fixtures/cli/cloud.js";
import { type Ended, nothingIsLeft, type Running, run, start } from "../../fixtures/cli/command.js";
import { countPipeline, newProject, type Project } from "../../fixtures/cli/project.js";
import { rowsOf } from "../zombies/stage.js";
import { type Point, trapAt } from "./points.js";
import { openTripwire, type Tripwire } from "./tripwire.js";

/** What the register of a pipeline says. */
export interface Standing {
  readonly head: Head;
  readonly record: GenerationRecord;
  readonly desired: Desired;
}

/** A row of the table by its word: how often it came, and which code says so. */
export type Rows = Readonly<Record<string, { readonly n: string; readonly by: string }>>;

export interface Scene {
  readonly name: string;
  readonly project: Project;
  readonly endpoint: string;
  readonly wire: Tripwire;
  readonly stream: string;
  readonly table: string;
  feed(words: readonly string[]): Promise<void>;
  /** Runs a command to its end. */
  tidemark(...args: readonly string[]): Promise<Ended>;
  /** The same; one that fails is an error. Returns what it printed. */
  done(...args: readonly string[]): Promise<string>;
  /** A command that runs, behind the wire or not. */
  begin(args: readonly string[], from: "the wire" | "the cloud"): Running;
  /** Runs a command, which is killed with all that descends from it, unless it ends before. */
  kill(args: readonly string[], point: Point): Promise<{ readonly isKilled: boolean; readonly out: string }>;
  /** So many writing requests the command makes when nobody kills it. */
  count(args: readonly string[]): Promise<number>;
  standing(): Promise<Standing>;
  /** All that is stored of a pipeline: its items, and the hashes of its objects. */
  stored(pipeline?: string): Promise<Readonly<Record<string, string>>>;
  rows(table?: string): Promise<Rows>;
}

export interface Code {
  /** Stands in each row. */
  readonly by: string;
  readonly settings?: string;
}

/** Counts words, and says in each row which code has counted. */
export const countingCode = (name: string, { by, settings = "" }: Code): string =>
  countPipeline({
    name,
    settings,
    onRecord: `state.n.update((n) => n + 1); return { word: key, n: state.n.get(), by: "${by}" };`,
  });

export async function openScene(name: string, options: { readonly shards?: number } = {}): Promise<Scene> {
  const project = newProject({});
  onTestFinished(() => project.remove());
  const cloud = await startTestCloud(project.folder);
  onTestFinished(() => cloud.close());
  const { endpoint } = cloud;
  const [stream, table] = [`words-${name}`, `totals-${name}`];
  await makeStream(endpoint, stream, options.shards ?? 1);
  const wire = await openTripwire(endpoint);
  onTestFinished(() => wire.close());
  const target = openTarget({ pipeline: name, endpoint, aws: false }, {});
  onTestFinished(() => target.clients.destroy());
  const tidemark = (...args: readonly string[]) => run(args, { cwd: project.folder, env: cloud.env });
  const begin: Scene["begin"] = (args, from) =>
    start(args, { cwd: project.folder, env: from === "the cloud" ? cloud.env : { AWS_ENDPOINT_URL: wire.endpoint } });
  return {
    ...{ name, project, endpoint, wire, stream, table, tidemark, begin },
    feed: (words) =>
      feed(
        endpoint,
        stream,
        words.map((word) => ({ word })),
      ),
    done: async (...args) => succeeded(args, await tidemark(...args)).out,
    kill: (args, point) => kill(wire, begin, args, point),
    count: async (args) => {
      wire.arm(null);
      succeeded(args, await begin(args, "the wire").ended);
      return wire.writes.length;
    },
    standing: () => standingOf(storeOf(name, target)),
    stored: async (of = name) => {
      const { registers } = storeOf(of, target);
      const items = (await registers.list(of, "")).map(({ name: item, register }) => [item, JSON.stringify(register)]);
      return { ...Object.fromEntries(items), ...(await objects(endpoint, "tidemark-dev", `${of}/`)) };
    },
    rows: async (of = table) => ofWords(await rowsOf(endpoint, of, "word")),
  };
}

function succeeded(args: readonly string[], ended: Ended): Ended {
  if (ended.code !== 0) throw new Error(`${args.join(" ")}: ${ended.code ?? ended.signal}: ${ended.err}`);
  return ended;
}

async function kill(
  wire: Tripwire,
  begin: Scene["begin"],
  args: readonly string[],
  point: Point,
): Promise<{ readonly isKilled: boolean; readonly out: string }> {
  let running: Running | null = null;
  wire.arm(trapAt(point, () => running?.signal("SIGKILL", "group")));
  running = begin(args, "the wire");
  const ended = await running.ended;
  const isKilled = wire.hasFallen();
  // Counts vary a little: one that came to its end must have come there well.
  if (!isKilled) succeeded(args, ended);
  await nothingIsLeft(running);
  return { isKilled, out: ended.out };
}

async function standingOf(store: CheckpointStore): Promise<Standing> {
  const head = (await readHead(store))?.value;
  const desired = (await readDesired(store))?.value;
  if (head === undefined || desired === undefined) return expect.fail(`there is no pipeline "${store.pipeline}"`);
  // R2, R6: what the head names is there, and is its generation's: there is never none.
  const record = await readGenerationRecord(store, head);
  expect(record).toMatchObject({ generation: head.generation, incarnation: head.incarnation });
  return { head, record, desired };
}

const ofWords = (rows: Awaited<ReturnType<typeof rowsOf>>): Rows =>
  Object.fromEntries(Object.entries(rows).map(([word, { n = "", by = "" }]) => [word, { n, by }]));

/** What one code alone makes of the words. */
export function rowsOfWords(words: readonly string[], by: string): Rows {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return Object.fromEntries([...counts].map(([word, n]) => [word, { n: `${n}`, by }]));
}

/** Code in a file of the project. */
export function write(scene: Scene, file: string, code: Code): string {
  return scene.project.write(file, countingCode(scene.name, code));
}
