/** What is put into a stream. */
export interface StreamEntry {
  /** 1 to 256 characters: records of one key lie in one shard, and, after a split or merge, in its children. */
  readonly partitionKey: string;
  readonly data: Uint8Array;
}

/** `refused`: throttled, or failed for now; it may be there all the same. Later entries of the same call may have been put. */
export type StreamAnswer =
  | { readonly kind: "put"; readonly shardId: string; readonly sequenceNumber: string }
  | { readonly kind: "refused"; readonly why: string };

/** Writing to a sharded log: Kinesis. */
export interface Streams {
  describe(stream: string): Promise<{ readonly kind: "found" | "absent" }>;
  /**
   * Appends at most {@link entriesMax} entries of at most {@link entriesBytesMax}, and answers for each, in their order. Of entries of
   * one key the order of the sequence numbers is that of the stream: it need not be that of the entries.
   *
   * @throws StreamError `invalid`: no such stream, or refused; `transient`, `ambiguous`: any of them may have been put
   */
  put(stream: string, entries: readonly StreamEntry[]): Promise<readonly StreamAnswer[]>;
}

// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
export const entriesMax = 500;
export const entriesBytesMax = 5 * 1024 * 1024;
/** Data and partition key, of a stream that has not been set to take more. */
export const entryBytesMax = 1024 * 1024;
export const partitionKeyLengthMax = 256;

export const sizeOfEntry = ({ partitionKey, data }: StreamEntry): number =>
  data.byteLength + Buffer.byteLength(partitionKey);
