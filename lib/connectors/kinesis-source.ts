import type { Codec } from "../model/codecs.js";
import { type Millis, millis } from "../model/ids.js";
import { checkFunction, checkMembers, kindOf, quoted, refuse } from "../pipeline/checks.js";
import { checkCodec, type Source, type SourceConfig } from "../pipeline/source.js";

/** Where a pipeline that has no checkpoint begins to read (P0). Times are those of arrival, on the server's clock. */
export type Start = "latest" | "trim-horizon" | { readonly at: Date };

/** What {@link kinesisSource} takes. */
export interface KinesisSourceOptions<T> {
  /** The logical name; bound to a real stream when a session starts. Without a binding it is the name itself. */
  readonly stream: string;
  /** json(schema), text, bytes, or one of your own. */
  readonly codec: Codec<T>;
  /** "latest" where it is not given. */
  readonly start?: Start;
  /** Bounded input: records that arrived at this time or later are not read, and the pipeline finishes when all earlier ones are processed. */
  readonly end?: { readonly at: Date };
  /**
   * Records that the Kinesis Producer Library has packed several into: `"kpl"` (where it is not given) gives them one by one, and
   * leaves out those of other shards, which the producer sends again; `"unchecked"` gives all, for producers that pack records of
   * any key together; `"none"` leaves them packed.
   */
  readonly aggregation?: "kpl" | "unchecked" | "none";
  /**
   * `true` where `kinesisStream` writes to the stream: what it put twice is left out, and what it puts again because an earlier record of
   * its key was refused, so that each row comes once, those of a partition key in their order (C6). Records of other producers come as
   * they are.
   */
  readonly deduplicate?: boolean;
  /**
   * The partition key that the producer puts a record with. Where `.keyBy()` gets this very function (with nothing but `.filter()`
   * between), records already lie where their key's task reads, and go to no other task, as long as each shard lies within the key
   * groups of one task (K2): as many shards of equal size as tasks, or a multiple. Else an exchange is used, as without it.
   *
   * @example
   * const byOrigin = (flight: Flight) => flight.origin;
   * flow.from("flights", kinesisSource({ stream: "flights", codec, partitionedBy: byOrigin })).keyBy(byOrigin)
   */
  readonly partitionedBy?: (value: T) => string;
}

/** A stream's name, as Kinesis has it (API_CreateStream). */
const streamName = /^[A-Za-z0-9_.-]{1,128}$/;

/**
 * Records of a Kinesis data stream, in the order of each shard. Makes a value only: nothing is opened.
 *
 * @throws StreamError `invalid` for options that are unknown or of the wrong type
 * @example kinesisSource({ stream: "flights", codec: json(Flight), start: "trim-horizon" })
 * @example kinesisSource({ stream: "flights", codec: json(Flight), start: { at: new Date("2026-01-01") }, end: { at: new Date("2026-02-01") } })
 */
export function kinesisSource<T>(options: KinesisSourceOptions<T>): Source<T> {
  const where = "kinesisSource()";
  checkMembers(where, options, ["stream", "codec", "start", "end", "aggregation", "deduplicate", "partitionedBy"]);
  const { stream, codec, aggregation = "kpl", partitionedBy } = options;
  if (typeof stream !== "string" || !streamName.test(stream)) {
    const found = typeof stream === "string" ? quoted(stream) : kindOf(stream);
    refuse(`${where}: stream`, `must be a stream's name (letters, digits, "-", "_", ".", at most 128), not ${found}`);
  }
  checkCodec(where, codec);
  if (!aggregations.includes(aggregation)) refuse(`${where}: aggregation`, 'must be "kpl", "unchecked" or "none"');
  const { deduplicate = false } = options;
  if (typeof deduplicate !== "boolean")
    refuse(`${where}: deduplicate`, `must be true or false, not ${kindOf(deduplicate)}`);
  const start = startOf(`${where}: start`, options.start);
  const end = options.end === undefined ? null : timeOf(`${where}: end`, options.end);
  if (end !== null && typeof start === "number" && end <= start) {
    refuse(`${where}: end`, "is not after start, so that nothing would be read");
  }
  if (partitionedBy !== undefined) checkFunction(`${where}: partitionedBy`, partitionedBy, "plain");
  const config: SourceConfig = Object.freeze({
    stream,
    codec: codec.name,
    start,
    end,
    aggregation,
    ...(deduplicate ? { deduplicate } : {}),
  });
  return Object.freeze({ kind: "kinesis", config, codec, ...(partitionedBy === undefined ? {} : { partitionedBy }) });
}

const aggregations: readonly unknown[] = ["kpl", "unchecked", "none"];

function startOf(where: string, start: unknown): SourceConfig["start"] {
  if (start === undefined || start === "latest") return "latest";
  if (start === "trim-horizon") return "horizon";
  if (typeof start === "string") return refuse(where, 'must be "latest", "trim-horizon" or { at: a Date }');
  return timeOf(where, start);
}

function timeOf(where: string, value: unknown): Millis {
  checkMembers(where, value, ["at"]);
  const { at } = value as { readonly at?: unknown };
  if (!(at instanceof Date) || Number.isNaN(at.getTime())) {
    const found = at instanceof Date ? "an invalid date" : kindOf(at);
    return refuse(`${where}.at`, `must be a Date, such as new Date("2026-01-31T00:00:00Z"), not ${found}`);
  }
  return millis(at.getTime());
}
