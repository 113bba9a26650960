import { mkdirSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { StreamError } from "../../model/errors.js";

// A process that was killed lets go of its lock a moment after its pid is gone.
const lockWaitMs = 3_000;
const lockRetryMs = 50;

/** A store of an emulator whose database has been asked to open. */
export interface Opening<Store> {
  readonly store: Store;
  readonly opened: Promise<unknown>;
}

/**
 * Opens a LevelDB store, waiting a little for a lock that a dying process still holds. LevelDB's own lock is the lock of the folder.
 *
 * @throws StreamError `invalid` when another process (or another cloud of this process) uses the folder.
 */
export async function openStore<Store>(folder: string | null, open: () => Opening<Store>): Promise<Store> {
  if (folder !== null) mkdirSync(folder, { recursive: true });
  const deadline = performance.now() + lockWaitMs;
  for (;;) {
    const { store, opened } = open();
    const failure = await opened.then(
      () => null,
      (error: unknown) => ({ error }),
    );
    if (failure === null) return store;
    if (!isLocked(failure.error)) throw cannotOpen(folder, failure.error);
    if (performance.now() > deadline) throw inUse(folder, failure.error);
    await delay(lockRetryMs);
  }
}

function inUse(folder: string | null, cause: unknown): StreamError {
  return new StreamError(
    "invalid",
    `the folder ${folder} is in use by another embedded cloud: stop that process, or give this one another folder`,
    { cause },
  );
}

function cannotOpen(folder: string | null, cause: unknown): StreamError {
  return new StreamError(
    "invalid",
    `the embedded cloud cannot open its data in ${folder}: ${messages(cause).join("; ")}. Repair or delete that folder`,
    { cause },
  );
}

const isLocked = (error: unknown): boolean => messages(error).some((message) => /IO error: lock /.test(message));

function messages(error: unknown): string[] {
  if (!(error instanceof Error)) return [String(error)];
  return [error.message, ...(error.cause === undefined ? [] : messages(error.cause))];
}
