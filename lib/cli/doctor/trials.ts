import { asStreamError } from "../../model/errors.js";
import { actionIn, type Finding, failure, isDenied, ok, problem } from "./findings.js";

/** A call that shows whether an action of IAM is allowed. */
export interface Trial {
  readonly action: string;
  readonly call: () => Promise<unknown>;
}

/**
 * Tries the calls one after the other; one that is refused does not keep the others from being tried.
 *
 * @param on what they are called on, for messages
 */
export async function tryAll(check: string, on: string, trials: readonly Trial[]): Promise<Finding> {
  const refused = new Set<string>();
  for (const { action, call } of trials) {
    try {
      await call();
    } catch (error) {
      if (!isDenied(error)) return failure(check, error);
      refused.add(actionIn(asStreamError(error).message) ?? action);
    }
  }
  const tried = [...new Set(trials.map(({ action }) => action))];
  if (refused.size === 0) return ok(check, `${on} allows ${tried.join(", ")}`);
  const lacking = [...refused].join(", ");
  return problem(check, `${on} does not allow ${lacking}`, `allow ${lacking} on it to the identity that calls`);
}
