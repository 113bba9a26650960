import { asStreamError, StreamError } from "../model/errors.js";

/** What the system refuses for reasons that a person can mend. */
const mendable: ReadonlySet<string> = new Set([
  "EACCES",
  "EPERM",
  "EROFS",
  "EEXIST",
  "ENOENT",
  "ENOTDIR",
  "EISDIR",
  "ENOSPC",
  "EDQUOT",
  "EMFILE",
]);

/** Any failure of a command as a StreamError: refusals of the file system are `invalid`, not bugs. */
export function commandFailure(error: unknown): StreamError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (error instanceof StreamError || !mendable.has(code) || !(error instanceof Error)) return asStreamError(error);
  return new StreamError("invalid", `${error.message}; check that the path is right and may be written`, {
    cause: error,
  });
}
