import type { FrameSlice, Lane, Note } from "../model/frames.js";

/** All that one task sends in one generation. */
export type Sender = Omit<Lane, "edge">;

/** By edge the last frame that is there. */
export type Sent = Readonly<Record<string, number>>;

/** A frame that is to be announced: the note without its body, and the bytes; null for one without records. */
export interface Frame extends Omit<Note, "format" | "body"> {
  readonly bytes: Uint8Array | null;
}

/**
 * What carries records from task to task: frames with names (E1 to E5). Nothing is ever waited for in it: who wants news asks.
 *
 * A frame is put once, by the only session that may; putting it again puts the same. So any transport that can name frames serves.
 */
export interface Exchange {
  /**
   * E1: makes the frame durable, then its note. Frames of a lane are put in order, one after the other.
   *
   * @throws StreamError `bug` where another frame has the name
   */
  put(lane: Lane, frame: Frame): Promise<void>;
  /** The notes from number `from` on, in order, without a gap, at most `limit`. Empty where none is there yet. */
  notes(lane: Lane, from: number, limit: number): Promise<readonly Note[]>;
  /**
   * E5: says up to which frame each lane of a task is there. Said again, or when more was said, it changes nothing. For one task one
   * session speaks at a time.
   */
  tell(sender: Sender, sent: Sent): Promise<void>;
  /** What was told in a generation, by producer, in one request. */
  news(from: Omit<Sender, "producer">): Promise<ReadonlyMap<number, Sent>>;
  /** A slice as it was encoded, decompressed. @throws StreamError `corrupt`: gone or changed (P3) */
  read(note: Note, slice: FrameSlice): Promise<Uint8Array>;
}
