// A pipeline that runs as "tidemark dev" runs it, in processes of a runner on an embedded cloud, with a hand on each of them.
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type AttributeValue, ScanCommand } from "@aws-sdk/client-dynamodb";
import { expect, onTestFinished } from "vitest";
import { type CheckpointStore, readHead, readLease, type Versioned } from "../../../dist/checkpoint/store.js";
import { type Engine, startEngine } from "../../../dist/cli/dev/engine.js";
import { makeMissing } from "../../../dist/cli/dev/resources.js";
import { Told } from "../../../dist/cli/dev/told.js";
import { functionNames, openTarget, storeOf } from "../../../dist/cli/environment.js";
import { loadPipeline } from "../../../dist/cli/load-pipeline.js";
import { spawnCloud } from "../../../dist/local/cloud/child.js";
import type { RunnerEvent } from "../../../dist/local/runner/events.js";
import { type Runner, startRunner } from "../../../dist/local/runner/runner.js";
import type { Head, Lease } from "../../../dist/model/head.js";
import { coordinatorTask } from "../../../dist/model/ids.js";
import type { SessionOutcome } from "../../../dist/runtime/run-session.js";
import { newProject } from "../../fixtures/cli/project.js";
import { dynamoAt } from "../cloud-clients.js";
import { type Input, openInput } from "./stream.js";
import { type Result, type Rows, resultOf, wordsPipeline } from "./words.js";

export interface StageOptions {
  readonly name: string;
  /** Options of the pipeline, as text. */
  readonly settings: string;
  readonly sessionMillis: number;
  readonly seed: number;
  readonly duplicateEvents?: number;
  readonly limits?: "real" | "none";
}

/** A session that ended by itself. */
export interface Ended {
  readonly pid: number | null;
  readonly requestId: string;
  readonly outcome: SessionOutcome;
}

export interface Stage {
  readonly input: Input;
  readonly runner: Runner;
  readonly engine: Engine;
  readonly taskFunction: string;
  readonly events: readonly RunnerEvent[];
  head(): Promise<Head>;
  lease(): Promise<Versioned<Lease> | null>;
  /** The process that holds the lease of the running generation. */
  holder(): Promise<{ readonly pid: number; readonly requestId: string } | null>;
  ended(): readonly Ended[];
  /** Ends the cloud's process without a word; what runs sees nobody there. Returns what starts it again. */
  killCloud(): () => Promise<void>;
  /** Waits until all input is counted, stops the pipeline, and compares its tables with the input. */
  finish(): Promise<Head>;
  /** For messages: what has happened. */
  story(): Promise<string>;
}

export async function openStage(options: StageOptions): Promise<Stage> {
  const { name, limits = "none" } = options;
  const project = newProject({ "pipeline.ts": wordsPipeline(name, options.settings) }, "stage-");
  onTestFinished(() => project.remove());
  const data = join(project.folder, "cloud");
  let cloud = await spawnCloud({ port: 0, data, limits });
  onTestFinished(() => cloud.stop());
  const { endpoint } = cloud;
  const events: RunnerEvent[] = [];
  const { seed, duplicateEvents = 0 } = options;
  const runner = await startRunner({ onEvent: (event) => events.push(event), duplicateEvents, seed });
  onTestFinished(() => runner.close());
  const pipeline = await loadPipeline(join(project.folder, "pipeline.ts"));
  const target = openTarget({ pipeline: name, endpoint, aws: false }, {});
  onTestFinished(() => target.clients.destroy());
  await makeMissing(target, pipeline.plan);
  const input = openInput(endpoint, `words-${name}`);
  onTestFinished(() => input.close());
  const taskFunction = functionNames(name).task;
  const told = new Told(functionNames(name), () => undefined);
  const engine = await startEngine({
    pipeline,
    entry: pipeline.bundle,
    target,
    runner,
    told,
    sessionMillis: options.sessionMillis,
  });
  const looks = looksAt(storeOf(name, target));
  const ended = () => events.flatMap((event) => endedOf(event, taskFunction));
  const holder = async () => {
    const held = (await looks.lease())?.value.holder;
    if (held?.kind !== "held") return null;
    const { requestId } = held;
    const found = runner.environments().filter((one) => one.functionName === taskFunction && one.state === "busy");
    const pid = found.find((one) => one.requestId === requestId)?.pid;
    return pid === undefined ? null : { pid, requestId };
  };
  const killCloud = () => {
    process.kill(cloud.pid, "SIGKILL");
    return async () => {
      cloud = await spawnCloud({ port: Number(new URL(endpoint).port), data, limits });
    };
  };
  const story = async () =>
    storyOf(`seed ${seed}`, await looks.head().catch((error: unknown) => String(error)), events);
  const base = { ...looks, input, runner, engine, taskFunction, events, holder, ended, killCloud, story };
  return { ...base, finish: () => finish(base, { name, endpoint }) };
}

function looksAt(store: CheckpointStore): Pick<Stage, "head" | "lease"> {
  const head = async () => {
    for (;;) {
      const found = await readHead(store);
      if (found !== null) return found.value;
      await sleep(50);
    }
  };
  const lease = async () => {
    const { incarnation, generation } = await head();
    return readLease(store, incarnation, generation, coordinatorTask);
  };
  return { head, lease };
}

function endedOf(event: RunnerEvent, taskFunction: string): readonly Ended[] {
  if (event.kind !== "log" || event.functionName !== taskFunction || !event.line.startsWith('{"event":"session"'))
    return [];
  const { outcome } = JSON.parse(event.line) as { readonly outcome: SessionOutcome };
  return [{ pid: event.pid, requestId: event.requestId, outcome }];
}

const drainMillisMax = 40_000;

async function finish(
  stage: Omit<Stage, "finish">,
  at: { readonly name: string; readonly endpoint: string },
): Promise<Head> {
  const records = await stage.input.readAll();
  await until(stage, `${records.length} records are counted`, drainMillisMax, async () => {
    const { head, progress } = await stage.engine.look();
    return (
      progress?.generation === head?.generation && progress?.idleSince !== null && progress?.records === records.length
    );
  });
  await stage.engine.stop();
  await until(stage, "the pipeline has stopped", drainMillisMax, async () => (await stage.head()).status === "stopped");
  const found = await tablesOf(at.endpoint, at.name);
  expect(found, await stage.story()).toEqual(resultOf(records));
  return stage.head();
}

/** Waits for a condition; what has happened is told where it does not come. */
export async function until(
  stage: Pick<Stage, "story">,
  what: string,
  withinMillis: number,
  holds: () => Promise<boolean> | boolean,
): Promise<void> {
  const giveUpAt = performance.now() + withinMillis;
  while (!(await holds())) {
    if (performance.now() > giveUpAt) expect.fail(`${what}: not within ${withinMillis} ms; ${await stage.story()}`);
    await sleep(50);
  }
}

/** What the tables of a words pipeline hold. */
export async function tablesOf(endpoint: string, name: string): Promise<Result> {
  return {
    words: await rowsOf(endpoint, `words-${name}`, "word"),
    tags: await rowsOf(endpoint, `tags-${name}`, "tag"),
  };
}

const plain = ([name, value]: [string, AttributeValue]) => [name, value.S ?? value.N ?? "?"] as const;

export async function rowsOf(endpoint: string, TableName: string, key: string): Promise<Rows> {
  const client = dynamoAt(endpoint, "HTTP/1.1");
  const rows: Record<string, Rows[string]> = {};
  let ExclusiveStartKey: Record<string, AttributeValue> | undefined;
  do {
    const page = await client.send(
      new ScanCommand({ TableName, ...(ExclusiveStartKey === undefined ? {} : { ExclusiveStartKey }) }),
    );
    for (const { "~tidemark": _, ...item } of page.Items ?? [])
      rows[item[key]?.S ?? ""] = Object.fromEntries(Object.entries(item).map(plain));
    ExclusiveStartKey = page.LastEvaluatedKey;
  } while (ExclusiveStartKey !== undefined);
  client.destroy();
  return rows;
}

const tellMax = 60;

function storyOf(seed: string, head: Head | string, events: readonly RunnerEvent[]): string {
  const lines = events
    .filter((event) => event.kind !== "frozen" && !(event.kind === "finished" || event.kind === "started"))
    .map((event) => ("line" in event ? `${event.pid} ${event.line}` : JSON.stringify(event)));
  return [seed, JSON.stringify(head), ...lines.slice(-tellMax)].join("\n");
}
