import { Command } from "commander";
import { isDeployed, isTakenBack } from "../checkpoint/deploys.js";
import { tasksOf } from "../checkpoint/fold.js";
import { type ForkSummary, listForks } from "../checkpoint/forks.js";
import { wantedSavepoint } from "../checkpoint/savepoints.js";
import { readDesired, readGenerationRecord, readManifest } from "../checkpoint/store.js";
import { readTaskFacts, type TaskFacts } from "../checkpoint/task-facts.js";
import type { Manifest } from "../model/checkpoints.js";
import type { Desired, GenerationRecord, Head, Lease, Progress } from "../model/head.js";
import type { Millis, TaskId } from "../model/ids.js";
import { forkOption, headOf, type OpenedStore, onStore } from "./checkpoints.js";
import { modeText } from "./replay/asked-modes.js";
import { statusText } from "./status-text.js";
import { storeOptions } from "./status-waiting.js";

export function statusCommand(): Command {
  const command = new Command("status")
    .description("how a pipeline stands: what runs, its last checkpoint, failures, savepoints, what it waits for")
    .argument("<pipeline.ts>", "the file that exports the pipeline as default");
  return forkOption(storeOptions(command))
    .option("--json", "print one JSON object", false)
    .addHelpText("after", notes)
    .action(onStore(readStatus, statusText));
}

const notes = `
Nothing is changed. Ages and lags are by this machine's clock.

Examples:
  tidemark status flights.ts
  tidemark status flights.ts --json

Members with --json: pipeline, status, desired (state that is asked for), waitsFor, generation, openedAt, reason, restarts,
code (functionVersion of the generation, desiredVersion, deployment, rejected, rejection), tasks (task, lease, session, deadline, behindMillis,
records), checkpoint (id, at, ageMillis, alignment), pending, sleepingSince, sinks (that are redirected, overwritten or run dry:
sink, mode, rows), savepoints (name, checkpoint), forks (name, checkpoint that it is made of, status), failures.`;

/** What is printed. Times as ISO 8601. */
export interface StatusReport {
  readonly pipeline: string;
  readonly status: Head["status"];
  readonly desired: Desired["state"] | null;
  readonly waitsFor: string | null;
  readonly generation: number;
  readonly openedAt: string;
  readonly reason: GenerationRecord["reason"];
  /** Generations that were opened since the hour began that is counted, but the first. */
  readonly restarts: number;
  readonly code: {
    readonly functionVersion: string;
    readonly desiredVersion: string | null;
    readonly deployment: number | null;
    /** Deployments that were taken back. */
    readonly rejected: readonly number[];
    /** Why the last of them was. */
    readonly rejection: { readonly at: string; readonly message: string } | null;
  };
  readonly tasks: readonly TaskStatus[];
  readonly checkpoint: {
    readonly id: number;
    readonly at: string;
    readonly ageMillis: number;
    readonly alignment: string;
  } | null;
  readonly pending: { readonly id: number; readonly savepoint: string | null; readonly andThen: string } | null;
  readonly sleepingSince: string | null;
  /** W2: those that are not as usual. */
  readonly sinks: readonly SinkStatus[];
  readonly savepoints: readonly { readonly name: string; readonly checkpoint: number }[];
  /** Those that lie beside, and what is left of such. */
  readonly forks: readonly ForkSummary[];
  /** Oldest first. */
  readonly failures: readonly {
    readonly at: string;
    readonly generation: number;
    readonly task: string | null;
    readonly kind: string;
    readonly message: string;
  }[];
}

export interface SinkStatus {
  readonly sink: string;
  /** As `tidemark replay --sinks` takes it. */
  readonly mode: string;
  /** Of a dry run, counted since it began; else null. */
  readonly rows: number | null;
}

export interface TaskStatus {
  readonly task: string;
  readonly lease: Lease["holder"]["kind"] | "never taken";
  readonly session: string | null;
  readonly deadline: string | null;
  readonly behindMillis: number | null;
  readonly records: number | null;
}

async function readStatus(opened: OpenedStore): Promise<StatusReport> {
  const { store } = opened;
  const head = await headOf(opened);
  const [desired, record, forks, manifest] = await Promise.all([
    readDesired(store),
    readGenerationRecord(store, head),
    listForks(store),
    head.completed === null ? null : readManifest(store, head.incarnation, head.completed),
  ]);
  const tasks = await readTaskFacts(store, head.incarnation, head.generation, tasksOf(record));
  const facts = { head, desired: desired?.value ?? null, record, manifest, tasks, forks, now: store.clock.now() };
  return reportOn(store.pipeline, facts);
}

/** All that a report is made from. */
export interface StatusFacts {
  readonly head: Head;
  readonly desired: Desired | null;
  readonly record: GenerationRecord;
  readonly manifest: Manifest | null;
  readonly tasks: TaskFacts;
  readonly forks: readonly ForkSummary[];
  readonly now: Millis;
}

export function reportOn(pipeline: string, facts: StatusFacts): StatusReport {
  const { head, desired, record } = facts;
  return {
    pipeline,
    status: head.status,
    desired: desired?.state ?? null,
    waitsFor: waitsFor(facts),
    generation: head.generation,
    openedAt: iso(head.openedAt),
    reason: record.reason,
    restarts: Math.max(0, (head.openings?.count ?? 1) - 1),
    code: {
      functionVersion: record.functionVersion,
      desiredVersion: desired?.code.functionVersion ?? null,
      deployment: desired?.code.deployment ?? null,
      rejected: desired?.rejected ?? [],
      rejection: rejectionOf(desired),
    },
    tasks: head.endedAt === null ? tasksOf(record).map((task) => taskStatus(task, facts.tasks)) : [],
    checkpoint: checkpointOf(facts),
    pending: pendingOf(head),
    sleepingSince: head.status === "suspended" && head.endedAt !== null ? iso(head.endedAt) : null,
    sinks: sinksOf(facts),
    savepoints: head.savepoints.map(({ name, checkpointId: checkpoint }) => ({ name, checkpoint })),
    forks: facts.forks,
    failures: head.failures.map(({ at, generation, task, kind, message }) => ({
      at: iso(at),
      generation,
      task,
      kind,
      message,
    })),
  };
}

function rejectionOf(desired: Desired | null): StatusReport["code"]["rejection"] {
  const why = desired?.rejection ?? null;
  return why === null ? null : { at: iso(why.at), message: why.message };
}

const iso = (time: number): string => new Date(time).toISOString();

function taskStatus(task: TaskId, { leases, progress }: TaskFacts): TaskStatus {
  const holder = leases.get(task)?.value.holder ?? null;
  const told: Progress | null = progress.get(task) ?? null;
  const isHeld = holder?.kind === "held";
  return {
    task,
    lease: holder?.kind ?? "never taken",
    session: isHeld ? holder.session : null,
    deadline: isHeld ? iso(holder.deadline) : null,
    behindMillis: told?.behindMillis ?? null,
    records: told?.records ?? null,
  };
}

/** Of what runs, as its tasks have told; of what rests, as its last checkpoint says. */
function sinksOf({ head, record, manifest, tasks }: StatusFacts): readonly SinkStatus[] {
  const told = head.endedAt === null ? [...tasks.progress.values()] : (manifest?.tasks ?? []).map((ack) => ack.figures);
  return Object.entries(record.sinks).flatMap(([sink, mode]) => {
    if (mode.kind === "normal") return [];
    const rows = told.reduce((sum, { dryRows }) => sum + (dryRows?.[sink] ?? 0), 0);
    return [{ sink, mode: modeText(mode), rows: mode.kind === "dry-run" ? rows : null }];
  });
}

function checkpointOf({ manifest, now }: StatusFacts): StatusReport["checkpoint"] {
  if (manifest === null) return null;
  const at = Math.max(...manifest.tasks.map(({ figures }) => figures.ackedAt));
  return { id: manifest.checkpointId, at: iso(at), ageMillis: Math.max(0, now - at), alignment: manifest.alignment };
}

const pendingOf = ({ pending }: Head): StatusReport["pending"] =>
  pending === null
    ? null
    : { id: pending.checkpointId, savepoint: pending.savepoint?.name ?? null, andThen: pending.andThen };

/** The first thing that is asked for, or under way, and not so yet. */
function waitsFor({ head, desired, record, tasks }: StatusFacts): string | null {
  const request = desired?.request ?? null;
  if (request !== null && request.id !== record.requestId)
    return `a supervisor that opens the generation that was asked for (${request.kind})`;
  if (desired !== null && isTakenBack({ desired, record }))
    return `a supervisor of version ${desired.code.functionVersion}, which goes on instead`;
  const savepoint = wantedSavepoint(desired, head);
  const untaken = tasksOf(record).filter((task) => tasks.leases.get(task)?.value.holder.kind !== "held");
  if (head.pending !== null) return `the tasks' acks of checkpoint ${head.pending.checkpointId}`;
  if (savepoint !== null) return `the checkpoint that is to be the savepoint "${savepoint.name}"`;
  if (head.status === "suspended") return "records, or its time to wake";
  if (head.endedAt !== null) return null;
  if (head.status !== "running") return "what its last checkpoint covers to be committed";
  if (desired?.state === "stopped") return "the checkpoint that it stops at";
  if (desired !== null && isDeployed(desired, record))
    return `the checkpoint at which version ${desired.code.functionVersion} takes over`;
  return untaken.length === 0 ? null : `sessions of ${untaken.length} tasks`;
}
