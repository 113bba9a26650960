import { StreamError } from "../model/errors.js";
import type { Millis } from "../model/ids.js";
import type { ShardEntry, SourceTable } from "../model/shards.js";
import { isFile, type Source } from "../pipeline/source.js";
import type { Clock } from "../ports/clock.js";
import type { Log, LogDescription } from "../ports/log.js";
import { type Peek, peek } from "./peek.js";
import { repeat } from "./repeat.js";
import { type KeptStream, mayBePast, pastRetention } from "./retention.js";
import { unfollowed } from "./shard-table.js";

// P1: what can be known of a source's positions without reading on from them.

/** The stream of a source, as it was when somebody asked. */
export interface SourceStream extends KeptStream {
  readonly arn: string;
  readonly createdAt: Millis;
  readonly serverNow: Millis;
  /** Of bounded input. */
  readonly end: Millis | null;
  readonly isFile: boolean;
}

export interface StreamContext {
  readonly log: Log;
  readonly store: { readonly clock: Clock };
  /** The physical name of a logical stream. */
  readonly bindStream: (logical: string) => string;
}

/** @throws StreamError `invalid` where there is none */
export async function describeStream(
  context: StreamContext,
  name: string,
  source: Source<unknown>,
): Promise<SourceStream> {
  const stream = context.bindStream(source.config.stream);
  const found: LogDescription = await repeat(context.store.clock, () => context.log.describe(stream));
  if (found.kind === "found") {
    const { arn, createdAt, retentionMillis, serverNow } = found;
    const { end } = source.config;
    return { name, stream, arn, createdAt, retentionMillis, serverNow, end, isFile: isFile(source) };
  }
  throw new StreamError(
    "invalid",
    `source "${name}": there is no ${isFile(source) ? "" : "stream "}"${stream}"; create it, or bind "${source.config.stream}" to another name`,
  );
}

/** @throws StreamError `invalid`: the checkpoint's positions are in another stream */
export function checkSameStream(known: SourceTable, stream: SourceStream): void {
  if (known.streamArn === stream.arn && known.createdAt === stream.createdAt) return;
  if (stream.isFile) {
    throw new StreamError(
      "invalid",
      `source "${stream.name}": "${stream.stream}" is not the file that the checkpoint has positions in: its length, its beginning or its end is another (K3); put back the file of before, or start under another pipeline name`,
    );
  }
  throw new StreamError(
    "invalid",
    `source "${stream.name}": the stream ${stream.arn} is not the one that the checkpoint has positions in (made ${new Date(known.createdAt).toISOString()}, this one ${new Date(stream.createdAt).toISOString()}): its sequence numbers mean nothing here; bind the old stream, or start under another pipeline name`,
  );
}

/** What follows the end of a shard is in its children; where none is in yet, the end's readTo says whether it is all there. */
export function lossAfterEnd(known: SourceTable, stream: SourceStream): StreamError | null {
  for (const { shardId, at } of unfollowed(known)) {
    if (stream.isFile || at.kind !== "finished") continue;
    if (!mayBePast(at.readTo, stream.retentionMillis, stream.serverNow)) continue;
    const what = "it was read to its end, and records of the shards that followed it";
    return pastRetention(stream, shardId, what, at.readTo, stream.serverNow);
  }
  return null;
}

/** One look behind an open shard's position. */
export function peekAt(context: StreamContext, stream: SourceStream, entry: ShardEntry): Promise<Peek> {
  if (entry.at.kind === "finished" || stream.isFile) return Promise.resolve({ kind: "unknown" });
  const at = { stream, shardId: entry.shardId, position: entry.at.position, end: stream.end };
  return peek(context.log, context.store.clock, at);
}

const rereadAttempts = 5;
const rereadPauseMillis = 1_000;

/**
 * Before a generation is opened: a position that may be past the retention is read. Where the service does not say, the sessions'
 * own reads will.
 */
export async function lossAtPositions(
  context: StreamContext,
  known: SourceTable,
  stream: SourceStream,
): Promise<StreamError | null> {
  for (const entry of known.shards) {
    if (entry.at.kind === "finished" || stream.isFile) continue;
    const { readTo } = entry.at.position;
    if (readTo === null || !mayBePast(readTo, stream.retentionMillis, stream.serverNow)) continue;
    for (let attempt = 1; attempt <= rereadAttempts; attempt++) {
      const found = await peekAt(context, stream, entry);
      if (found.kind === "lost") return found.error;
      if (found.kind !== "unknown") break;
      await context.store.clock.sleep(rereadPauseMillis);
    }
  }
  return null;
}
