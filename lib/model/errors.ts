/** What the caller of a failed operation does next; see {@link StreamError}. */
export type ErrorKind =
  | "transient" // try again
  | "ambiguous" // it may have happened: read back, then decide (R5)
  | "fenced" // another generation or session has taken over: stop quietly
  | "invalid" // the pipeline, its input or its configuration must be mended by a person
  | "corrupt" // stored bytes are not what was written: page a person
  | "bug"; // an invariant of ours is broken: crash

/** A process may have the library twice, as where `tidemark dev` bundles it and `tidemark/postgres` lies beside the bundle. */
const mark: unique symbol = Symbol.for("tidemark.stream-error") as never;

/**
 * The one error class of the library. Its `kind` says what the caller does; its message says what was wrong, where, and what to do.
 *
 * @example
 * throw new StreamError("corrupt", `snapshot ${key}: SHA-256 differs`, { cause });
 */
export class StreamError extends Error {
  override readonly name = "StreamError";
  constructor(
    readonly kind: ErrorKind,
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
  }

  get [mark](): true {
    return true;
  }

  /** Whichever copy of the library made it: an error that lost its kind on the way would count as a bug. */
  static override [Symbol.hasInstance](value: unknown): value is StreamError {
    return typeof value === "object" && value !== null && mark in value;
  }
}

/** A message that is kept (in a lease, a report, the head) has at most so many characters: documents are small. */
export const keptMessageMax = 2_000;

/** The message, its middle left out where it is longer than {@link keptMessageMax}. */
export function keptMessage(message: string): string {
  if (message.length <= keptMessageMax) return message;
  const half = keptMessageMax / 2 - 20;
  return `${message.slice(0, half)} … (${message.length} characters) … ${message.slice(-half)}`;
}

/** The error as a StreamError: unknown failures are bugs, and keep their cause. */
export function asStreamError(error: unknown): StreamError {
  if (error instanceof StreamError) return error;
  return new StreamError("bug", error instanceof Error ? error.message : String(error), { cause: error });
}

/** For the `default` of a switch over a union: the compiler proves that it is never reached. */
export function unreachable(value: never): never {
  throw new StreamError("bug", `unreachable: ${JSON.stringify(value)}`);
}

/** Throws a `bug` where an invariant of ours does not hold. */
export function invariant(holds: boolean, message: string): asserts holds {
  if (!holds) throw new StreamError("bug", message);
}
