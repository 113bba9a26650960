import { StreamError } from "../model/errors.js";
import type { DeadLetter } from "../pipeline/dead-letter.js";
import type { RecordView } from "./record-view.js";

/** What another attempt may mend, or what is not the record's fault: no reason to put the record aside. */
const notTheRecords: ReadonlySet<string> = new Set(["bug", "transient", "ambiguous", "fenced", "corrupt"]);

const asIs = new WeakSet<StreamError>();

/** A failure that every record would meet, such as an operator that gives a promise: it ends the pipeline, whatever `onBadRecord` says. */
export function everyRecords(error: StreamError): StreamError {
  asIs.add(error);
  return error;
}

/** Whether the record is to blame, so that it may be put aside and the rest goes on. */
export function isRecordsFault(error: unknown): boolean {
  if (!(error instanceof StreamError)) return true;
  return !notTheRecords.has(error.kind) && !asIs.has(error);
}

/** @param step what refused it, such as `operator "punctuality"` */
export function deadLetter(record: RecordView, step: string, cause: string): DeadLetter {
  const { source, shard, sequenceNumber, subSequenceNumber, arrivedAt, data } = record;
  const sub = subSequenceNumber === null ? "" : `/${subSequenceNumber}`;
  return {
    id: `${source}/${shard}/${sequenceNumber}${sub}`,
    source,
    shard,
    sequenceNumber,
    subSequenceNumber,
    arrivedAt: arrivedAt === null ? null : new Date(arrivedAt).toISOString(),
    step,
    cause,
    data: Buffer.from(data.buffer, data.byteOffset, data.length).toString("base64"),
  };
}

/** A copy that lasts, for an element that waits for an answer. */
export function kept(record: RecordView, keepsData: "with data" | "without data"): RecordView {
  const { source, shard, sequenceNumber, subSequenceNumber, arrivedAt } = record;
  const data = keepsData === "with data" ? record.data : new Uint8Array();
  return { source, shard, sequenceNumber, subSequenceNumber, arrivedAt, data };
}

/** A SyntaxError of JSON.parse quotes what it parsed: bodies do not belong in messages. */
export function describeThrown(cause: unknown): string {
  if (cause instanceof StreamError) return cause.message;
  if (cause instanceof SyntaxError) return "SyntaxError";
  return cause instanceof Error ? `${cause.name}: ${cause.message}` : `it threw a ${typeof cause}`;
}

/** The kind of a failure at a record: what passes stays so, what the library did wrong too; all else the user must mend. */
export const kindOfFailure = (cause: unknown): StreamError["kind"] =>
  cause instanceof StreamError ? cause.kind : "invalid";
