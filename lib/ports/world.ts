import type { Blobs } from "./blobs.js";
import type { Clock } from "./clock.js";
import type { Files } from "./files.js";
import type { Functions } from "./functions.js";
import type { Log } from "./log.js";
import type { Objects } from "./objects.js";
import type { Registers } from "./registers.js";
import type { Streams } from "./streams.js";
import type { Tables } from "./tables.js";

/** All that the system needs from outside, so that all of it can run on memory under a seeded scheduler. */
export interface World {
  readonly clock: Clock;
  readonly registers: Registers;
  readonly blobs: Blobs;
  readonly log: Log;
  readonly files: Files;
  /** Of the user's own buckets: what sinks write. */
  readonly objects: Objects;
  readonly tables: Tables;
  /** The user's own, written to by sinks. */
  readonly streams: Streams;
  readonly functions: Functions;
}
