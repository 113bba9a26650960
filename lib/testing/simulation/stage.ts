import type { Venue } from "../faults/process.js";
import type { Scheduler } from "../seeded/scheduler.js";
import type { FaultRates } from "./profile.js";

/** Where a run takes place: the faults of its calls, and of what the platform does. */
export interface Stage extends Venue {
  readonly scheduler: Scheduler;
  /** Of this moment: calm comes at the end. */
  readonly faults: () => FaultRates;
}
