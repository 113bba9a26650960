import type { Manifest, Range } from "../model/checkpoints.js";
import { StreamError } from "../model/errors.js";
import type { Lane } from "../model/frames.js";
import type { Exchange } from "../ports/exchange.js";
import { closedRanges } from "./inherit.js";

/** Notes that are asked for at once. */
const notesAtOnce = 256;
/** Lanes that are looked at at a time. */
const lanesAtOnce = 16;

/** Frames from..to of a lane: to the end all that some task still expects. */
export interface Named {
  readonly lane: Lane;
  readonly from: number;
  readonly to: number;
}

/**
 * P1: frames that a checkpoint names are part of it, as positions are. Their notes are looked for before anything is fenced; what is
 * in the frames is checked when they are read (P3).
 *
 * @param dropped operators whose state the user drops, and with it what was on its way to them (P2)
 * @throws StreamError `corrupt`, naming edge, generation, producer and number of a frame that is missing
 */
export async function checkFrames(exchange: Exchange, manifest: Manifest, dropped: readonly string[]): Promise<void> {
  const named = namedFrames(manifest, dropped);
  for (let i = 0; i < named.length; i += lanesAtOnce) {
    await Promise.all(named.slice(i, i + lanesAtOnce).map((one) => checkLane(exchange, manifest, one)));
  }
}

/** Consumers that are not equally far expect the same frames from another number on: of a lane the lowest counts. */
export function namedFrames(manifest: Manifest, dropped: readonly string[]): readonly Named[] {
  const lanes = new Map<string, Named>();
  for (const range of closedRanges(manifest)) {
    if (dropped.includes(range.edge)) continue;
    const { from, to } = range;
    const lane = laneOf(manifest, range);
    const name = `${lane.generation}/${lane.edge}/${lane.producer}`;
    const known = lanes.get(name);
    lanes.set(name, { lane, from: Math.min(from, known?.from ?? from), to: Math.max(to, known?.to ?? to) });
  }
  return [...lanes.values()];
}

const laneOf = ({ incarnation }: Manifest, { generation, edge, producer }: Range): Lane => ({
  incarnation,
  generation,
  edge,
  producer,
});

async function checkLane(exchange: Exchange, manifest: Manifest, { lane, from, to }: Named): Promise<void> {
  for (let next = from; next <= to; ) {
    const found = await exchange.notes(lane, next, Math.min(notesAtOnce, to - next + 1));
    if (found.length === 0) throw missing(manifest, lane, next);
    next += found.length;
  }
}

function missing({ pipeline, checkpointId }: Manifest, { edge, generation, producer }: Lane, n: number): StreamError {
  return new StreamError(
    "corrupt",
    `pipeline "${pipeline}", checkpoint ${checkpointId}: frame ${n} of task ${producer} of generation ${generation} on the edge "${edge}" is gone, and was not taken before the checkpoint (P1); bring its note back from a backup, or start from another checkpoint`,
  );
}
