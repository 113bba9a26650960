import type { DedupeState } from "../model/dedupe.js";
import { StreamError } from "../model/errors.js";
import { type Millis, millis } from "../model/ids.js";
import type { Position, ShardEntry } from "../model/shards.js";
import type { LogLines, LogRecords } from "../ports/log.js";
import type { Place } from "./batch.js";

// P1: where a shard stands, and what its readTo may promise. A log that knows no time, and keeps all, promises with 0.

export function openPosition(entry: ShardEntry): Position {
  if (entry.at.kind === "open") return entry.at.position;
  throw new StreamError("bug", `shard ${entry.shardId} is finished and has no position`);
}

/** C6: `taken` is what was taken up to the position, where repeats are left out. */
export const openAt = (entry: ShardEntry, position: Position, taken: DedupeState | undefined): ShardEntry => ({
  ...entry,
  at: { kind: "open", position, ...kept(taken) },
});

export const kept = (taken: DedupeState | undefined): { readonly taken?: DedupeState } =>
  taken === undefined ? {} : { taken };

/** P1: of a batch that is used up. To the server's now where nothing came and nothing is behind it. */
export function readToAfter(position: Position, read: LogRecords | LogLines, last: Place | null): Millis | null {
  if (last !== null || read.kind === "lines" || read.behindMillis > 0) return readToOf(position, last);
  return later(position.readTo, read.serverNow);
}

/** Up to the last record that was taken: of a batch that is not used up, or of bounded input. */
export function readToOf(position: Position, last: Place | null): Millis | null {
  return last === null ? position.readTo : later(position.readTo, last.arrivedAt ?? millis(0));
}

/** P1: the read that finds the end of a shard leaves readTo as it was. Where nothing was promised yet, its last record speaks. */
export function endReadTo(position: Position, read: LogRecords | LogLines, last: Place | null): Millis {
  return position.readTo ?? last?.arrivedAt ?? (read.kind === "lines" ? millis(0) : read.serverNow);
}

/** The position behind the last record that was taken. */
export function moved(position: Position, last: Place | null, readTo: Millis | null): Position {
  if (last !== null) {
    const { sequenceNumber, sub } = last;
    return { kind: "after", sequenceNumber, sub, readTo: readTo ?? millis(0) };
  }
  if (readTo === null) return position;
  // P0: the horizon promises what is there at its first read; from then on it is checked.
  if (position.kind === "horizon") return { kind: "beginning", readTo };
  return { ...position, readTo };
}

const later = (a: Millis | null, b: Millis): Millis => millis(Math.max(a ?? 0, b));
