import assert from "node:assert/strict";
import { invariant } from "../../model/errors.js";
import { checkpointId, generation, taskId } from "../../model/ids.js";
import { segmentToken } from "../../pipeline/segment-token.js";
import type { LogWriter, Segment, Sink, SinkResources } from "../../pipeline/sink.js";
import { type Random, randomOf } from "../seeded/random.js";
import type { Losses } from "./sink-losses.js";
import { permitFor } from "./sink-permits.js";
import { patiently, type Test } from "./suite.js";

/** A sink over a target that nobody else uses, and that is empty, for each test. */
export interface OpenLogSink {
  /** As `writeAheadLog` makes it. */
  readonly sink: Sink<never>;
  readonly resources: SinkResources;
  /** A row that the sink takes; rows differ in their content. */
  readonly row: (content: number) => unknown;
  /** What a reader of the target sees. */
  readonly seen: () => Promise<unknown>;
  /** What `seen` gives when rows of these contents were applied, each once, in this order. */
  readonly shows: (contents: readonly number[]) => unknown;
  /** How calls of the sink to its target are lost: {@link lossyResources} for one that writes by ports, else {@link lossyWay}. */
  readonly losses: Losses;
}

/** Who prepared a segment: of sink "out" and task 0.0, where nothing else is said. */
interface Lane {
  readonly sink?: string;
  readonly generation?: number;
  readonly task?: number;
}

interface Case extends OpenLogSink {
  /** As a session that opens the sink, has it checked, and closes it when the test is over. */
  readonly writer: () => LogWriter;
  readonly segment: (checkpoint: number, chunk: number, contents: readonly number[], lane?: Lane) => Segment<unknown>;
  /** As a session does that has seen checkpoint 99 complete. */
  readonly apply: (writer: LogWriter, ...segments: readonly Segment<unknown>[]) => Promise<void>;
  readonly assertSeen: (...contents: readonly number[]) => Promise<void>;
}

type It = (name: string, run: (given: Case) => Promise<void>) => void;

/**
 * What every sink must do that applies segments of a write-ahead log: each once, in order, whoever applies it, and however often,
 * whatever becomes of the calls.
 *
 * @example logSinkConformance(test, async () => openMySink());
 */
export function logSinkConformance(test: Test, open: () => Promise<OpenLogSink>): void {
  const it: It = (name, run) =>
    test(name, async () => {
      const writers: LogWriter[] = [];
      try {
        await run(caseOf(await open(), writers));
      } finally {
        for (const writer of writers) await writer.close();
      }
    });
  applies(it);
  orders(it);
  loses(it);
  for (const seed of seeds) history(it, seed);
}

function caseOf(opened: OpenLogSink, writers: LogWriter[]): Case {
  const { sink, resources } = opened;
  return {
    ...opened,
    writer() {
      invariant(sink.delivery === "log", "the sink is one of writeAheadLog()");
      const writer = sink.open(resources);
      writers.push(writer);
      return writer;
    },
    segment(checkpoint, chunk, contents, lane = {}) {
      const token = segmentToken({
        sink: lane.sink ?? "out",
        incarnation: "0a0b0c0d0e0f",
        generation: generation(lane.generation ?? 1),
        task: taskId(0, lane.task ?? 0),
        checkpointId: checkpointId(checkpoint),
        chunk,
      });
      return { token, rows: contents.map(opened.row) };
    },
    async apply(writer, ...segments) {
      for (const segment of segments) await writer.apply(writer.target, segment, permitFor(99));
    },
    async assertSeen(...contents) {
      assert.deepEqual(await opened.seen(), opened.shows(contents));
    },
  };
}

function applies(it: It): void {
  it("finds its target, takes rows, and shows nothing before they are applied", async (given) => {
    const writer = given.writer();
    await writer.check();
    writer.validate(given.row(1));
    await given.assertSeen();
  });

  it("shows rows in their order", async ({ writer, segment, apply, assertSeen }) => {
    await apply(writer(), segment(1, 0, [3, 1, 2]), segment(1, 1, [5, 4]), segment(2, 0, [6]));
    await assertSeen(3, 1, 2, 5, 4, 6);
  });

  it("C2 applies nothing that no complete checkpoint covers", async ({ writer, segment, apply, assertSeen }) => {
    await assert.rejects(apply(writer(), segment(100, 0, [1])), { name: "StreamError", kind: "bug" });
    await assertSeen();
  });

  it("C5 applies a segment once, however often it comes, and whoever brings it", async (given) => {
    const { writer, segment, apply, assertSeen } = given;
    for (const one of [writer(), writer(), writer()]) {
      await apply(one, segment(1, 0, [1, 2]));
      await apply(one, segment(1, 0, [1, 2]));
      await assertSeen(1, 2);
    }
  });

  it("C5 applies a segment once when several bring it at once", async (given) => {
    const { writer, segment, apply, assertSeen } = given;
    const results = await Promise.allSettled([1, 2, 3, 4].map(() => apply(writer(), segment(1, 0, [1, 2]))));
    // Of those that meet, some may lose, and say so: they come again.
    assert.ok(results.some(({ status }) => status === "fulfilled"));
    await apply(writer(), segment(1, 0, [1, 2]));
    await assertSeen(1, 2);
  });

  it("C5 applies rows again that are equal, and of another segment", async (given) => {
    const { writer, segment, apply, assertSeen } = given;
    await apply(writer(), segment(1, 0, [7, 7]), segment(1, 1, [7]), segment(2, 0, [7]));
    await assertSeen(7, 7, 7, 7);
  });
}

function orders(it: It): void {
  it("C5 finds nothing to do in an older segment that comes late", async (given) => {
    const { writer, segment, apply, assertSeen } = given;
    const [first, second, third] = [segment(1, 0, [1]), segment(1, 1, [2]), segment(2, 0, [3])];
    await apply(writer(), first, second, third);
    await apply(writer(), first, second, third);
    await apply(writer(), second);
    await assertSeen(1, 2, 3);
  });

  it("C5 compares checkpoints and chunks as numbers", async ({ writer, segment, apply, assertSeen }) => {
    const chunks = Array.from({ length: 12 }, (_, chunk) => segment(9, chunk, [chunk]));
    const checkpoints = [10, 11, 98].map((checkpoint) => segment(checkpoint, 0, [checkpoint]));
    for (let times = 0; times < 2; times++) await apply(writer(), ...chunks, ...checkpoints);
    await assertSeen(...chunks.keys(), 10, 11, 98);
  });

  it("C5 takes what another task, generation or sink prepared for what it is", async (given) => {
    const { writer, segment, apply, assertSeen } = given;
    const lanes: readonly Lane[] = [{}, { task: 1 }, { generation: 2 }, { generation: 10, task: 1 }, { sink: "other" }];
    const segments = lanes.map((lane, content) => segment(5, 0, [content], lane));
    const older = lanes.map((lane, content) => segment(4, 0, [10 + content], lane));
    await apply(writer(), ...older, ...segments, ...older, ...segments);
    await assertSeen(10, 11, 12, 13, 14, 0, 1, 2, 3, 4);
  });
}

function loses(it: It): void {
  for (const loss of ["request", "answer", "late"] as const) {
    it(`R5 applies a segment once when a call is lost (${loss})`, async (given) => {
      const { writer, segment, losses, assertSeen } = given;
      const one = writer();
      losses.lose(loss);
      await patiently(() => given.apply(one, segment(1, 0, [1, 2])));
      losses.lose(loss);
      await patiently(() => given.apply(writer(), segment(1, 1, [3])));
      await losses.arrive();
      await assertSeen(1, 2, 3);
    });
  }

  it("R5 a call of a dead session that arrives when all has moved on changes nothing", async (given) => {
    const { writer, segment, losses, apply, assertSeen } = given;
    losses.lose("late");
    await apply(writer(), segment(1, 0, [1])).catch(() => undefined);
    await patiently(() => apply(writer(), segment(1, 0, [1]), segment(2, 0, [2]), segment(3, 0, [3])));
    await losses.arrive();
    await assertSeen(1, 2, 3);
  });
}

const seeds = Array.from({ length: 12 }, (_, index) => index + 1);
const stepsPerHistory = 25;

/** A segment for each step, of lanes that are drawn; sessions die, calls are lost, and zombies bring what was applied before. */
function history(it: It, seed: number): void {
  it(`C5 R5 shows each row once after any history (seed ${seed})`, async (given) => {
    const random = randomOf(`log sink ${seed}`);
    const done: Segment<unknown>[] = [];
    const contents: number[] = [];
    let [session, zombie] = [given.writer(), given.writer()];
    for (let step = 1; step <= stepsPerHistory; step++) {
      const lane = { task: random.int(2), generation: random.between(9, 10) };
      const some = Array.from({ length: random.between(1, 3) }, (_, index) => 10 * step + index);
      const next = given.segment(Math.ceil(step / 3), (step - 1) % 3, some, lane);
      await patiently(async () => {
        if (random.chance(0.3)) [zombie, session] = [session, given.writer()];
        if (random.chance(0.4)) given.losses.lose(random.pick(["request", "answer", "late"]));
        await Promise.all([given.apply(session, next), bring(given, random, zombie, done)]);
      });
      done.push(next);
      contents.push(...some);
      await given.assertSeen(...contents);
    }
    await given.losses.arrive();
    await given.assertSeen(...contents);
  });
}

/** A zombie does not hear that it is one: it goes on with segments that others have applied since. */
async function bring(given: Case, random: Random, zombie: LogWriter, done: readonly Segment<unknown>[]): Promise<void> {
  if (done.length === 0 || random.chance(0.6)) return;
  const from = random.int(done.length);
  await given.apply(zombie, ...done.slice(from, from + 3)).catch(() => undefined);
}
