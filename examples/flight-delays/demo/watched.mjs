// State that changes by events, and those who wait for it to become something.

/**
 * @template {object} S
 * @param {S} state
 * @param {AbortSignal} signal ends every wait with its reason
 */
export function watched(state, signal) {
  const waiting = new Set();
  const look = () => {
    for (const check of [...waiting]) check();
  };
  signal.addEventListener("abort", look);
  return {
    state,
    /** @param {(state: S) => void} change */
    update(change) {
      change(state);
      look();
    },
    /** Resolves as soon as the condition holds. @param {(state: S) => boolean} condition */
    until(condition) {
      return new Promise((resolve, reject) => {
        const check = () => {
          if (!signal.aborted && !condition(state)) return;
          waiting.delete(check);
          if (signal.aborted) reject(signal.reason);
          else resolve(undefined);
        };
        waiting.add(check);
        check();
      });
    },
  };
}
