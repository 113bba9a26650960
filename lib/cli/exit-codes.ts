import type { ErrorKind } from "../model/errors.js";

/** What the command line exits with: 0 is success, 2 (by the argument parser) wrong usage. */
export const exitCodes: Readonly<Record<ErrorKind, number>> = {
  invalid: 1, // the pipeline, its input or its configuration must be mended
  transient: 3, // the endpoint does not answer: try again
  ambiguous: 3,
  fenced: 3,
  corrupt: 4, // stored bytes are not what was written
  bug: 70,
};

export const usageExitCode = 2;
/** 128 + SIGINT: a Ctrl-C did not wait for what is under way. */
export const interruptedExitCode = 130;
