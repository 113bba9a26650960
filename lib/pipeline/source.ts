import type { Millis } from "../model/ids.js";

/** Plain data: part of the plan's graph. Names are logical; a binding gives the physical one of an environment. */
export interface SourceConfig {
  readonly stream: string;
  readonly codec: string;
  /** Where the first generation begins (P0). */
  readonly start: "latest" | "horizon" | Millis;
  /** Bounded input: records that arrived at or after this server time are not read, and when all shards are past it the source is finished. */
  readonly end: Millis | null;
}

/** A replayable log of records of T. */
export interface Source<out T> {
  readonly kind: string;
  readonly config: SourceConfig;
  /** Throws where the bytes are no T. */
  readonly decode: (data: Uint8Array) => T;
}
