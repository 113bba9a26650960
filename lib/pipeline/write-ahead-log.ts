import { invariant } from "../model/errors.js";
import { checkWhole } from "./checks.js";
import type { LogSink, LogWriter, Segment, Sink, SinkResources } from "./sink.js";
import {
  checkDescription,
  letterReader,
  type OpenTarget,
  OpenTargets,
  type SinkDescription,
  type TargetResources,
} from "./sink-target.js";

export interface LogTarget<in Row> extends OpenTarget<Row> {
  /**
   * Applies the rows of a segment, in their order. It may be called again with the same segment, by anyone, at any time: also when
   * later ones were applied since, also while another call with it is under way. So the target must know what it has: it remembers
   * of each lane the last position applied, in the same transaction as the rows (`position` not greater: done, C5); or it gets
   * `token.id` as an idempotency key, and keeps it. A segment of a lane is begun when the one before it was applied.
   *
   * @throws StreamError `invalid`, `corrupt`: the pipeline fails with this cause, and keeps what is not applied; anything else is tried again
   */
  readonly apply: (segment: Segment<Row>) => Promise<void>;
}

/** See {@link writeAheadLog}. */
export interface WriteAheadLog<in Row> extends SinkDescription {
  /** Rows of a segment, at most: 1 to 10,000 (default: 1,000). A segment has no more than 256 KiB, but for a single row that has. */
  readonly rowsMax?: number;
  readonly open: (resources: TargetResources) => LogTarget<Row>;
}

const rowsByDefault = 1_000;
const rowsMost = 10_000;

/**
 * A sink of every row, in order, for any target that can tell a repeat: tidemark logs the rows in the bucket, and applies them,
 * segment by segment, once the checkpoint that covers them is complete.
 *
 * A row is anything that state can keep: plain values, bigints, dates, bytes, arrays, Maps and Sets; also what `deleted` makes.
 *
 * @throws StreamError `invalid`: a member is missing, or of the wrong type
 * @example
 * const orders = writeAheadLog<Order>({
 *   kind: "orders-api",
 *   open: ({ signal }) => ({
 *     async apply({ token, rows }) {
 *       const headers = { "idempotency-key": token.id };
 *       const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(rows), signal });
 *       if (!answer.ok) throw new Error(`status ${answer.status}`);
 *     },
 *   }),
 * });
 */
export function writeAheadLog<Row>(sink: WriteAheadLog<Row>): Sink<Row> {
  const { kind, config, redirectable } = checkDescription("writeAheadLog", sink);
  const limits = { least: 1, most: rowsMost };
  const rowsMax = checkWhole(`writeAheadLog() "${kind}": rowsMax`, sink.rowsMax ?? rowsByDefault, limits);
  const open = (resources: SinkResources) => openLog(resources, sink);
  const letters = (resources: SinkResources) => letterReader(resources, sink);
  return { kind, config, redirectable, delivery: "log", rowsMax, open, letters } satisfies LogSink<Row>;
}

function openLog<Row>(resources: SinkResources, sink: WriteAheadLog<Row>): LogWriter {
  const targets = new OpenTargets(resources, sink, sink.open);
  const { target } = targets;
  return {
    target,
    check: () => targets.once(target, "check", (outside) => outside.check?.()),
    close: () => targets.close(),
    validate: (row) => targets.at(target).validate?.(row as Row),
    async apply(to, segment, permit) {
      const isCovered = segment.token.checkpoint <= permit.completed.checkpointId;
      invariant(isCovered, "C2: a segment is applied whose checkpoint was not seen complete");
      await targets.repeat(to, "apply", (outside) => outside.apply(segment as Segment<Row>));
    },
  };
}
