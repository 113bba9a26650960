import assert from "node:assert/strict";
import type { Json } from "../../model/canonical-json.js";
import { invariant } from "../../model/errors.js";
import type { Sink, SinkResources, TwoPhaseWriter } from "../../pipeline/sink.js";
import type { Losses } from "./sink-losses.js";
import { permitFor } from "./sink-permits.js";

/** A sink over a target that nobody else uses, and that is empty, for each test. */
export interface OpenTwoPhaseSink {
  readonly sink: Sink<never>;
  /** What a session of the task gets, of a generation: sessions differ in what is theirs alone (`stage`). */
  resources(session: string, generation: number): SinkResources;
  /** A row that the sink takes. */
  row(content: number): unknown;
  /** What a reader of the target sees, as `row` made it, in the order of the names of what is shown, or in that of the commits. */
  seen(): Promise<readonly unknown[]>;
  /** How calls of the sink to its target are lost: {@link lossyResources} for one that writes by ports, else {@link lossyWay}. Without it none are. */
  readonly losses?: Losses;
}

/** What a test is given. */
export interface Case extends OpenTwoPhaseSink {
  /** Of generation 2, where none is given. */
  writer(session: string, generation?: number): TwoPhaseWriter;
  /** Of one of several tasks. The first one sees to what those have staged that are no more. */
  writerOf(task: string, generation: number, living?: readonly string[]): TwoPhaseWriter;
  /** Rows that are written, sealed and staged: what an ack says of them. */
  staged(writer: TwoPhaseWriter, checkpoint: number, ...contents: readonly number[]): Promise<Json>;
  commit(writer: TwoPhaseWriter, prepared: Json): Promise<void>;
  assertSeen(...contents: readonly number[]): Promise<void>;
}

export type It = (name: string, run: (given: Case) => Promise<void>) => void;

const stagePrefix = "out-0a0b0c0d0e0f-";

function stageOf(task: string, generation: number, living: readonly string[] | undefined): SinkResources["stage"] {
  const own = `${stagePrefix}${task}-`;
  const spared = living?.map((other) => `${stagePrefix}${other}-`);
  const gone = spared === undefined ? null : { prefix: stagePrefix, spared };
  return { task: own, session: `${own}${generation}-session`, gone };
}

/** @param writers those that a test opens, for who closes them */
export function caseOf(opened: OpenTwoPhaseSink, writers: TwoPhaseWriter[]): Case {
  const { sink } = opened;
  const open = (resources: SinkResources): TwoPhaseWriter => {
    invariant(sink.delivery === "two-phase", "the sink is a two-phase one");
    const writer = sink.open(resources);
    writers.push(writer);
    return writer;
  };
  return {
    ...opened,
    writer: (session, generation = 2) => open(opened.resources(session, generation)),
    writerOf: (task, generation, living) =>
      open({ ...opened.resources("of", generation), stage: stageOf(task, generation, living) }),
    async staged(writer, checkpoint, ...contents) {
      for (const content of contents) writer.write(opened.row(content));
      const sealed = writer.seal(`checkpoint-${String(checkpoint).padStart(6, "0")}`);
      assert.ok(sealed !== null, "rows were written, so there is something to seal");
      assert.equal(sealed.records, contents.length);
      const { prepared } = await sealed.prepare();
      // It goes through the ack, a document of JSON.
      return JSON.parse(JSON.stringify(prepared)) as Json;
    },
    commit: (writer, prepared) => writer.commit(prepared, permitFor(9)),
    async assertSeen(...contents) {
      assert.deepEqual(
        await opened.seen(),
        contents.map((content) => opened.row(content)),
      );
    },
  };
}
