import type { Codec } from "../model/codecs.js";
import type { Millis } from "../model/ids.js";
import { kindOf, refuse } from "./checks.js";

/** Plain data: part of the plan's graph. Names are logical; a binding gives the physical one of an environment. */
export interface SourceConfig {
  readonly stream: string;
  readonly codec: string;
  /** Where the first generation begins (P0). */
  readonly start: "latest" | "horizon" | Millis;
  /** Bounded input: records that arrived at or after this server time are not read, and when all shards are past it the source is finished. */
  readonly end: Millis | null;
  /** Records that hold many: taken apart, those of other shards left out or not; or left as they are. */
  readonly aggregation: "kpl" | "unchecked" | "none";
  /** C6: records say which they are, and each is taken once. */
  readonly deduplicate?: true;
}

/** A replayable log of records of T. */
export interface Source<out T> {
  readonly kind: "kinesis" | "file";
  readonly config: SourceConfig;
  /** Its `decode` throws where the bytes are no T. */
  readonly codec: Codec<T>;
  /** The partition key with which a record was put: where a pipeline groups by this very function, no exchange may be needed. */
  readonly partitionedBy?: (value: never) => string;
}

const fileScheme = "file:";

/** A file as the stream of a source: no stream of Kinesis has a name with a colon, and an ARN begins otherwise. */
export const fileStream = (path: string): string => `${fileScheme}${path}`;

/** The path of a file that {@link fileStream} has named; null: it is another stream. */
export const filePath = (stream: string): string | null =>
  stream.startsWith(fileScheme) ? stream.slice(fileScheme.length) : null;

/** A file ends by itself, and its one shard has no children. */
export const isFile = (source: Source<unknown>): boolean => source.kind === "file";

/** The source is finished one day. */
export const isBounded = (source: Source<unknown>): boolean => isFile(source) || source.config.end !== null;

/** @throws StreamError `invalid` where it is no codec; `where` is whose option it is */
export function checkCodec(where: string, codec: unknown): void {
  const given = codec as Partial<Codec<unknown>> | null | undefined;
  if (typeof given?.name === "string" && typeof given.decode === "function") return;
  refuse(`${where}: codec`, `must be json(schema), text or bytes, not ${kindOf(codec)}`);
}
