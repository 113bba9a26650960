import type { Codec } from "../model/codecs.js";
import { json } from "../model/codecs.js";
import { enclose, envelopeBytes } from "../model/envelope.js";
import { StreamError } from "../model/errors.js";
import { checkFunction, checkMembers, kindOf, quoted, refuse } from "../pipeline/checks.js";
import type { Segment, Sink } from "../pipeline/sink.js";
import type { TargetResources } from "../pipeline/sink-target.js";
import { checkCodec } from "../pipeline/source.js";
import type { LogTarget } from "../pipeline/write-ahead-log.js";
import { entriesMax, entryBytesMax, partitionKeyLengthMax, type StreamEntry } from "../ports/streams.js";
import { again } from "./again.js";
import { portLog } from "./port-log.js";
import { putInOrder } from "./put-in-order.js";

/** What {@link kinesisStream} takes. */
export interface KinesisStreamOptions<T> {
  /** The logical name of the stream. */
  readonly stream: string;
  /** How a row becomes bytes: `json()` where it is not given. */
  readonly codec?: Codec<T>;
  /**
   * 1 to 256 characters. Rows of one key lie in one shard, in their order. It must say the same of the same row at any time: a repeat
   * that lies elsewhere is not known for one.
   */
  readonly partitionKey: (row: T) => string;
}

/** So long are the lanes of all tasks (C5). */
const laneLengthMax = 120;

/**
 * A Kinesis data stream as a sink: each row is a record, put when the checkpoint that covers it is complete. A failure repeats records,
 * since Kinesis cannot be asked what it has. Each therefore carries in front which one it is (C6), so that readers that leave out
 * repeats have each row once, and those of a partition key in their order: `kinesisSource` with `deduplicate: true`, or anything that
 * calls `dedupe`. For others it is at-least-once.
 *
 * @throws StreamError `invalid` at build: unknown options; at start: there is no such stream; at a record: a row that the codec refuses, a
 *   partition key that is none, more than 1 MiB
 * @example stream.to("alerts", kinesisStream<Alert>({ stream: "alerts", partitionKey: ({ airport }) => airport }))
 */
export function kinesisStream<T>(options: KinesisStreamOptions<T>): Sink<T> {
  const where = `kinesisStream ${quoted(String(options?.stream ?? ""))}`;
  checkMembers(where, options, ["stream", "codec", "partitionKey"]);
  const { stream, codec = json<T>(), partitionKey } = options;
  if (typeof stream !== "string" || stream === "") refuse(where, `"stream" must be a name, not ${kindOf(stream)}`);
  checkCodec(where, codec);
  if (typeof codec.encode !== "function") refuse(`${where}: codec`, "has no encode()");
  checkFunction(`${where}: partitionKey`, partitionKey, "plain");
  const config = { stream, codec: codec.name };
  return portLog<T>({
    kind: "kinesis-stream",
    config,
    target: { kind: "stream", name: stream },
    rowsMax: entriesMax,
    open: (resources) => openStream(resources, { where, codec, partitionKey }),
  });
}

interface Making<T> {
  readonly where: string;
  readonly codec: Codec<T>;
  readonly partitionKey: (row: T) => string;
}

function openStream<T>({ streams, clock, target }: TargetResources, making: Making<T>): LogTarget<T> {
  return {
    async check() {
      const found = await again(clock, () => streams.describe(target));
      if (found.kind === "absent")
        throw new StreamError("invalid", `there is no such stream; create it, or bind the sink to another`);
    },
    validate: (row) => void checkedEntry(row, making),
    apply: (segment) => putInOrder({ streams, clock, stream: target }, entriesOf(segment, making)),
  };
}

function checkedEntry<T>(row: T, { where, codec, partitionKey }: Making<T>): StreamEntry {
  const key: unknown = partitionKey(row);
  if (typeof key !== "string" || key === "" || !key.isWellFormed())
    return refuse(where, `the partition key of a row must be a text that is not empty, not ${kindOf(key)}`);
  // Kinesis counts characters, of which none is shorter than a UTF-16 unit.
  if (key.length > partitionKeyLengthMax)
    refuse(where, `the partition key of a row has ${key.length} characters; Kinesis takes ${partitionKeyLengthMax}`);
  const data = codec.encode(row);
  const size = envelopeBytes("".padEnd(laneLengthMax)) + data.length + Buffer.byteLength(key);
  if (size > entryBytesMax)
    refuse(
      where,
      `a row has ${size} bytes with its key and envelope; a record of Kinesis has at most ${entryBytesMax} (1 MiB): write less into it, or put the body into S3 and its name into the row`,
    );
  return { partitionKey: key, data };
}

/** The records of a segment: the same at every repeat. */
function entriesOf<T>({ token, rows }: Segment<T>, making: Making<T>): readonly StreamEntry[] {
  const { lane, checkpoint, chunk } = token;
  const last = new Map<string, number>();
  return rows.map((row, place) => {
    const { partitionKey, data } = checkedEntry(row, making);
    const after = last.get(partitionKey) ?? null;
    last.set(partitionKey, place);
    return { partitionKey, data: enclose({ lane, checkpoint, chunk, place, after }, data) };
  });
}
