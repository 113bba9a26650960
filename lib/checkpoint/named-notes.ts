import type { Manifest, Range } from "../model/checkpoints.js";
import { asStreamError, StreamError } from "../model/errors.js";
import type { Note } from "../model/frames.js";
import { decodeDocument } from "./documents.js";
import { joinSpans, laneId, type Span } from "./frames-garbage.js";
import { closedRanges } from "./inherit.js";
import * as names from "./names.js";
import { repeat } from "./repeat.js";
import type { CheckpointStore } from "./store.js";

/** Frames of one lane that a checkpoint leaves to be taken, whoever takes them (E3). */
export interface NamedFrames extends Span, Pick<Range, "edge" | "generation" | "producer"> {}

/**
 * E3: each frame once, though several tasks expect parts of it.
 *
 * @throws StreamError `corrupt`: a range has no end
 */
export function framesOf(manifest: Manifest): readonly NamedFrames[] {
  const lanes = new Map<string, NamedFrames[]>();
  for (const range of closedRanges(manifest)) {
    const lane = lanes.get(laneId(range)) ?? [];
    lane.push(range);
    lanes.set(laneId(range), lane);
  }
  return [...lanes.values()].flatMap((ranges) =>
    ranges
      .slice(0, 1)
      .flatMap(({ edge, generation, producer }) =>
        joinSpans(ranges).map(({ from, to }) => ({ edge, generation, producer, from, to })),
      ),
  );
}

export const countOf = (named: readonly Span[]): number => named.reduce((sum, { from, to }) => sum + to - from + 1, 0);

export type NamedNote =
  | { readonly kind: "there"; readonly where: string; readonly note: Note }
  /** Each stretch once. */
  | { readonly kind: "gone"; readonly frames: NamedFrames }
  | { readonly kind: "changed"; readonly error: StreamError };

const notesAtOnce = 100;

/** The notes of named frames, in order, and what is missing of them. */
export async function* readNotes(
  store: CheckpointStore,
  incarnation: string,
  frames: NamedFrames,
): AsyncGenerator<NamedNote, void, void> {
  const lane = { incarnation, ...frames };
  const gone = (from: number, to: number): NamedNote => ({ kind: "gone", frames: { ...frames, from, to } });
  let next = frames.from;
  for (let isLast = false; !isLast && next <= frames.to; ) {
    const page = { from: names.noteName(lane, next), limit: Math.min(notesAtOnce, frames.to - next + 1) };
    const found = await repeat(store.clock, () => store.registers.list(store.pipeline, names.notePrefix(lane), page));
    isLast = found.length < page.limit;
    for (const { name, register } of found) {
      const parsed = names.parseItemName(incarnation, name);
      isLast ||= parsed?.kind !== "note" || parsed.n >= frames.to;
      if (parsed?.kind !== "note" || parsed.n > frames.to) break;
      if (parsed.n > next) yield gone(next, parsed.n - 1);
      yield decoded(register.body, name, frames, parsed.n);
      next = parsed.n + 1;
    }
  }
  if (next <= frames.to) yield gone(next, frames.to);
}

function decoded(body: string, name: string, frames: NamedFrames, n: number): NamedNote {
  try {
    const note = decodeDocument<Note>(body, name, ["n", "epoch", "session", "records", "body", "slices"]);
    if (note.n === n) return { kind: "there", where: `${placeOf({ ...frames, from: n, to: n })} (${name})`, note };
    throw new StreamError("corrupt", `${name} says that it is frame ${note.n}`);
  } catch (error) {
    return { kind: "changed", error: asStreamError(error) };
  }
}

/** For messages. */
export const placeOf = ({ edge, generation, producer, from, to }: NamedFrames): string =>
  `edge "${edge}", producer ${producer} of generation ${generation}, ${from === to ? `frame ${from}` : `frames ${from} to ${to}`}`;
