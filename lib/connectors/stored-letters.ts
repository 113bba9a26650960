import type { DeadLetter } from "../pipeline/dead-letter.js";

/** Of a dead letter that was put back. The letter itself stays: whoever repeats a commit would bring it again. */
export interface PutBack {
  /** ISO 8601, when that was begun. */
  readonly at: string;
  /** Shard and sequence number of the new record; null: whether it came is not known. */
  readonly to: string | null;
}

export interface StoredLetter {
  readonly letter: DeadLetter;
  readonly putBack: PutBack | null;
}

/** The dead letters of a pipeline, where their sink has written them. */
export interface StoredLetters {
  /** All of them, in the order of their ids. */
  list(): Promise<readonly StoredLetter[]>;
  /** @param before what is known of the letter now. False: something else is. */
  mark(letter: DeadLetter, before: PutBack | null, next: PutBack | null): Promise<boolean>;
}

/** null: the row is no dead letter. Formats without numbers have them as texts. */
export function letterOf(row: unknown): DeadLetter | null {
  if (typeof row !== "object" || row === null) return null;
  const { id, source, shard, sequenceNumber, subSequenceNumber, arrivedAt, step, cause, data } = row as DeadLetter;
  if (typeof id !== "string" || typeof data !== "string") return null;
  const sub = subSequenceNumber == null ? null : Number(subSequenceNumber);
  return { id, source, shard, sequenceNumber, subSequenceNumber: sub, arrivedAt: arrivedAt ?? null, step, cause, data };
}

export const byId = (a: StoredLetter, b: StoredLetter): number => (a.letter.id < b.letter.id ? -1 : 1);
