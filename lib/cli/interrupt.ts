import { interruptedExitCode } from "./exit-codes.js";

/** `npx` passes a Ctrl-C on that the terminal has sent to everybody already: what comes so soon is the same one. */
const sameInterruptMillis = 500;

/**
 * Ctrl-C and SIGTERM for a command: the first aborts the signal, with a notice; a second ends the process at once.
 *
 * @param notice what is said on standard error at the first, null: nothing
 */
export function interruptSignal(notice: string | null): AbortSignal {
  const interrupt = new AbortController();
  let firstAt = 0;
  const handle = () => {
    const now = performance.now();
    if (!interrupt.signal.aborted) {
      firstAt = now;
      if (notice !== null) process.stderr.write(`\n${notice}\n`);
      interrupt.abort();
    } else if (now - firstAt > sameInterruptMillis) {
      process.exit(interruptedExitCode);
    }
  };
  process.on("SIGINT", handle);
  process.on("SIGTERM", handle);
  return interrupt.signal;
}

/** While it is waited: Ctrl-C and SIGTERM end the process, which says what stands. Returns what takes that back. */
export function endWithNotice(notice: string): () => void {
  const end = () => {
    process.stderr.write(`\n${notice}\n`);
    process.exit(interruptedExitCode);
  };
  process.once("SIGINT", end);
  process.once("SIGTERM", end);
  return () => {
    process.off("SIGINT", end);
    process.off("SIGTERM", end);
  };
}

const settleMillis = 100;

/**
 * The outcome of `work`, or null where the signal is aborted before. A failure just before an interrupt is its doing: the same
 * Ctrl-C ends children that the work needs.
 */
export async function unlessInterrupted<T>(signal: AbortSignal, work: Promise<T>): Promise<T | null> {
  if (signal.aborted) return null;
  const aborted = new Promise<null>((resolve) => signal.addEventListener("abort", () => resolve(null), { once: true }));
  try {
    return await Promise.race([work, aborted]);
  } catch (error) {
    await pause(settleMillis, signal);
    if (signal.aborted) return null;
    throw error;
  }
}

/** Sleeps; the signal ends it early. */
export function pause(length: number, signal: AbortSignal | null): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, length);
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
    if (signal?.aborted) done();
    else signal?.addEventListener("abort", done, { once: true });
  });
}

/** Resolves when the signal is aborted, and keeps the process alive until then. */
export async function untilAborted(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await pause(60_000, signal);
}
