import type { Decider } from "../../lib/checkpoint/decide.js";
import type { Facts } from "../../lib/checkpoint/facts.js";
import type { Versioned } from "../../lib/checkpoint/store.js";
import type { Ack, CheckpointRef, Manifest, Pending } from "../../lib/model/checkpoints.js";
import type { Desired, Failure, GenerationRecord, Head, Lease, Progress } from "../../lib/model/head.js";
import { checkpointId, generation, millis, sessionId, taskId } from "../../lib/model/ids.js";
import { sha256 } from "../../lib/model/sha256.js";
import { planSettings } from "../../lib/pipeline/options.js";
import type { PlanSettings } from "../../lib/pipeline/plan.js";

/** What the samples call now: late enough that everything before it is a positive number. */
export const now = millis(1_000_000);
export const ago = (length: number) => millis(now - length);

export const incarnation = "0a0b0c0d0e0f";
export const version = "7";
export const task0 = taskId(0, 0);
export const task1 = taskId(0, 1);

export const settings: PlanSettings = planSettings('pipeline "p"', {});
export const me: Decider = { functionVersion: version, settings, needsExchange: () => false };

export const ref = (id: number, gen = 1): CheckpointRef => ({
  generation: generation(gen),
  checkpointId: checkpointId(id),
  sha256: sha256(`manifest ${gen} ${id}`),
});

export const pending = (over: Partial<Pending> = {}): Pending => ({
  checkpointId: checkpointId(2),
  savepoint: null,
  andThen: "continue",
  alignment: "unaligned",
  reason: "interval",
  triggeredAt: ago(1_000),
  ...over,
});

export const record = (over: Partial<GenerationRecord> = {}): GenerationRecord => ({
  format: 1,
  pipeline: "p",
  incarnation,
  generation: generation(1),
  reason: "start",
  requestId: "r1",
  origin: null,
  fingerprint: sha256("plan"),
  functionVersion: version,
  deployment: 1,
  fallback: null,
  library: "0.1.0",
  stages: [{ name: "main", tasks: 1, operators: ["count"] }],
  shards: {},
  readTo: null,
  dropped: [],
  sinks: {},
  ...over,
});

export const twoTasks = [{ name: "main", tasks: 2, operators: ["count"] }] as const;

/** Generation 1, running, with checkpoint 1 complete and triggered long ago. */
export const head = (over: Partial<Head> = {}): Head => ({
  format: 1,
  incarnation,
  generation: generation(1),
  generationRecord: sha256("record"),
  openedAt: ago(500_000),
  openings: { since: ago(500_000), count: 1 },
  origin: null,
  pending: null,
  completed: ref(1),
  lastTriggeredAt: ago(100_000),
  settledAt: ago(100_000),
  endedAt: null,
  idleSince: null,
  nextCheckpointId: checkpointId(2),
  status: "running",
  consecutiveAborts: 0,
  left: [],
  deploying: false,
  floor: checkpointId(0),
  savepoints: [],
  asked: null,
  failures: [],
  ...over,
});

export const request = (over: Partial<NonNullable<Desired["request"]>> = {}): NonNullable<Desired["request"]> => ({
  id: "r1",
  kind: "restart",
  from: null,
  sinks: {},
  dropped: [],
  ...over,
});

export const desired = (over: Partial<Desired> = {}): Desired => ({
  format: 1,
  state: "running",
  code: { deployment: 1, functionVersion: version, fingerprint: sha256("plan") },
  deployedAt: null,
  rejected: [],
  rejection: null,
  request: request(),
  savepoint: null,
  ...over,
});

export const deployed = (functionVersion: string) => ({ ...desired().code, deployment: 2, functionVersion });

export const held = (over: Partial<Extract<Lease["holder"], { readonly kind: "held" }>> = {}): Lease["holder"] => ({
  kind: "held",
  session: sessionId("s1"),
  requestId: "q1",
  since: ago(100_000),
  deadline: millis(now + 600_000),
  ...over,
});

export const lease = (holder: Lease["holder"], over: Partial<Lease> = {}): Lease => ({
  format: 1,
  generation: generation(1),
  task: task0,
  ack: null,
  sessions: { since: ago(100_000), count: 1 },
  holder,
  ...over,
});

export const leases = (...holders: readonly (Lease["holder"] | null)[]): ReadonlyMap<typeof task0, Versioned<Lease>> =>
  new Map(
    holders.flatMap((holder, index) => {
      const task = taskId(0, index);
      return holder === null ? [] : [[task, { version: 3, value: lease(holder, { task }) }] as const];
    }),
  );

export const progress = (over: Partial<Progress> = {}): Progress => ({
  format: 1,
  generation: generation(1),
  task: task0,
  session: sessionId("s1"),
  seq: 1,
  at: ago(100),
  epoch: checkpointId(1),
  changed: false,
  idleSince: null,
  behindMillis: 0,
  records: 10,
  taken: {},
  pressed: false,
  uncommitted: 0,
  sourcesFinished: false,
  handover: false,
  ...over,
});

export const progresses = (...all: readonly Progress[]): ReadonlyMap<typeof task0, Progress> =>
  new Map(all.map((one) => [one.task, one]));

export const ack = (over: Partial<Ack> = {}): Ack => ({
  format: 1,
  generation: generation(1),
  checkpointId: checkpointId(2),
  task: task0,
  session: sessionId("s1"),
  keyGroups: [0, 127],
  snapshot: { format: 1, base: null, deltas: [] },
  positions: {},
  sent: {},
  expected: [],
  committables: [],
  wakeAt: null,
  finished: false,
  idle: false,
  figures: { cutAt: ago(900), ackedAt: ago(800), recordsIn: 10, recordsOut: 3, bytes: 100, requests: {} },
  ...over,
});

export const manifest = (over: Partial<Manifest> = {}): Manifest => ({
  format: 1,
  pipeline: "p",
  incarnation,
  generation: generation(1),
  generationRecord: sha256("record"),
  fingerprint: sha256("plan"),
  checkpointId: checkpointId(1),
  savepoint: null,
  andThen: "continue",
  alignment: "unaligned",
  triggeredAt: ago(100_000),
  previous: null,
  origin: null,
  shards: {},
  tasks: [ack({ checkpointId: checkpointId(1) })],
  wakeAt: null,
  ...over,
});

export const failure = (over: Partial<Failure> = {}): Failure => ({
  generation: generation(1),
  at: ago(1_000),
  task: task0,
  kind: "bug",
  message: "it broke",
  checkpointId: checkpointId(1),
  ...over,
});

/** A pipeline that runs and to which nothing is to be done. */
export const facts = (over: Omit<Partial<Facts>, "head"> & { readonly head?: Partial<Head> | null } = {}): Facts => ({
  now,
  desired: desired(),
  record: over.head === null ? null : record(),
  leases: leases(held()),
  progress: progresses(progress()),
  acks: [],
  completed: manifest(),
  reports: [],
  look: null,
  ...over,
  head: over.head === null ? null : { version: 5, value: head(over.head) },
});
