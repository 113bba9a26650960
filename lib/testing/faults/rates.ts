/** How often what goes wrong with a call, as probabilities. */
export interface CallRates {
  /** The process dies at a call, before it is sent or before its answer comes. */
  readonly crash: number;
  /** The process stands still at a call, for up to minutes: a zombie where it is replaced meanwhile. */
  readonly pause: number;
  /** The answer is lost. Whether the request was carried out, will be later, or never is, is another coin. */
  readonly lost: number;
  /** A call takes seconds. */
  readonly slow: number;
  /** The log throttles, forgets a cursor, or lists shards as they were. */
  readonly log: number;
  /** A read of the log gives a few records only, though there are more. */
  readonly few: number;
}

export const noCallFaults: CallRates = { crash: 0, pause: 0, lost: 0, slow: 0, log: 0, few: 0 };

/** Something goes wrong every minute or so. */
export const lightCallFaults: CallRates = { crash: 0.001, pause: 0.001, lost: 0.01, slow: 0.01, log: 0.02, few: 0.3 };

/** Hardly a checkpoint without trouble. */
export const heavyCallFaults: CallRates = { crash: 0.004, pause: 0.004, lost: 0.06, slow: 0.03, log: 0.05, few: 0.3 };
