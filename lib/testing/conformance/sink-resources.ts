import { type Millis, millis } from "../../model/ids.js";
import type { SinkResources } from "../../pipeline/sink.js";
import type { Clock } from "../../ports/clock.js";
import { memoryFiles } from "../memory/files.js";
import { memoryLog } from "../memory/log.js";
import { memoryObjects } from "../memory/objects.js";
import { memoryTables } from "../memory/tables.js";
import { randomOf } from "../seeded/random.js";
import { startOfTime } from "../seeded/scheduler.js";

export interface ResourcesOf extends Partial<SinkResources> {
  /** "one", where it is not given. What sessions stage has their names. */
  readonly session?: string;
  /** 1, where it is not given. */
  readonly generation?: number;
}

/**
 * What a session gives a sink, for a test of the sink alone: services in memory, a clock whose sleeps are over at once, physical names
 * that are the logical ones.
 *
 * @example const { files } = memoryFiles(); memoryResources({ files, session: "two", generation: 2 })
 */
export function memoryResources({ session = "one", generation = 1, ...given }: ResourcesOf = {}): SinkResources {
  const clock = passingClock();
  return {
    tables: memoryTables().tables,
    streams: memoryLog(clock).streams,
    files: memoryFiles().files,
    objects: memoryObjects().objects,
    clock,
    bind: (_kind, logical) => logical,
    stage: { task: "0.0-", session: `0.0-${generation}-${session}` },
    ...given,
  };
}

function passingClock(): Clock {
  let at: number = startOfTime;
  const random = randomOf("clock");
  return {
    now: (): Millis => millis(at),
    async sleep(length) {
      at += length;
    },
    random: (bytes) => random.bytes(bytes),
  };
}
