import { StreamError } from "../../model/errors.js";
import {
  entriesBytesMax,
  entriesMax,
  entryBytesMax,
  partitionKeyLengthMax,
  type StreamAnswer,
  type StreamEntry,
  type Streams,
  sizeOfEntry,
} from "../../ports/streams.js";

/** What a log in memory does for whoever writes to it. */
export interface StreamWrites {
  readonly has: (stream: string) => boolean;
  readonly put: (stream: string, entry: StreamEntry) => { readonly shardId: string; readonly sequenceNumber: string };
  /** Whether the next entry is refused. */
  readonly refuses: () => boolean;
}

/** The writing side of streams in memory, with the limits of PutRecords. */
export const memoryStreams = ({ has, put, refuses }: StreamWrites): Streams => ({
  describe: async (stream) => ({ kind: has(stream) ? "found" : "absent" }),
  async put(stream, entries) {
    if (!has(stream))
      throw new StreamError("invalid", `stream "${stream}" does not exist; create it, or bind the sink to another`);
    checkEntries(stream, entries);
    return entries.map((entry): StreamAnswer => {
      if (refuses()) return { kind: "refused", why: "ProvisionedThroughputExceededException: in memory" };
      return { kind: "put", ...put(stream, entry) };
    });
  },
});

function checkEntries(stream: string, entries: readonly StreamEntry[]): void {
  const refuse = (what: string) => new StreamError("invalid", `stream "${stream}": ${what}`);
  if (entries.length === 0 || entries.length > entriesMax) throw refuse(`${entries.length} records in a call`);
  const bytes = entries.reduce((sum, entry) => sum + sizeOfEntry(entry), 0);
  if (bytes > entriesBytesMax) throw refuse(`${bytes} bytes in a call; it may have ${entriesBytesMax}`);
  for (const entry of entries) {
    const { length } = entry.partitionKey;
    if (length === 0 || length > partitionKeyLengthMax) throw refuse(`a partition key of ${length} characters`);
    if (sizeOfEntry(entry) > entryBytesMax) throw refuse(`a record of ${sizeOfEntry(entry)} bytes`);
  }
}
