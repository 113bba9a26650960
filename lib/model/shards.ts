import type { DedupeState } from "./dedupe.js";
import type { Generation, Millis } from "./ids.js";

/**
 * Where reading of a shard goes on. `readTo`: the server time up to which everything had been read (P1).
 * `sub`: the last user record taken of an aggregate that is not yet finished.
 */
export type Position =
  | { readonly kind: "horizon"; readonly readTo: null }
  | { readonly kind: "timestamp"; readonly at: Millis; readonly readTo: Millis }
  | { readonly kind: "beginning"; readonly readTo: Millis }
  | { readonly kind: "after"; readonly sequenceNumber: string; readonly sub: number | null; readonly readTo: Millis };

export interface ShardEntry {
  readonly shardId: string;
  readonly parents: readonly string[];
  /** Decimal, inclusive. */
  readonly hashKeys: readonly [first: string, last: string];
  readonly at:
    | {
        readonly kind: "open";
        readonly position: Position;
        /** C6: what was taken up to the position, of a source that leaves out repeats. Children begin with it. */
        readonly taken?: DedupeState;
      }
    | {
        readonly kind: "finished";
        readonly generation: Generation;
        readonly producer: number;
        readonly sent: Readonly<Record<string, number>>;
        readonly readTo: Millis;
        readonly taken?: DedupeState;
      };
}

/** The shards of one source, kept whole in every manifest (K3). */
export interface SourceTable {
  readonly streamArn: string;
  readonly createdAt: Millis;
  readonly start: Millis | "horizon";
  readonly shards: readonly ShardEntry[];
}

/** By the source's name in the plan. */
export type ShardTable = Readonly<Record<string, SourceTable>>;
