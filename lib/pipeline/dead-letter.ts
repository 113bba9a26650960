/** A record that could not be decoded or processed, as the dead-letter sink gets it: plain data, once. */
export interface DeadLetter {
  /** Source, shard and sequence number, and of a user record of an aggregate its place in it: one for each record. */
  readonly id: string;
  /** The source's name in the pipeline. */
  readonly source: string;
  readonly shard: string;
  readonly sequenceNumber: string;
  readonly subSequenceNumber: number | null;
  /** ISO 8601; null where the source does not say. */
  readonly arrivedAt: string | null;
  /** What refused it: `decode`, or such as `operator "punctuality"`. */
  readonly step: string;
  readonly cause: string;
  /** The record's bytes, base64: they can be put again once the cause is mended. */
  readonly data: string;
}

/** The name of the sink that dead letters go to, among the pipeline's sinks. */
export const deadLetterSink = "dead-letters";
