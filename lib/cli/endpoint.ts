import { StreamError } from "../model/errors.js";

const localHosts = /^(localhost|127\.\d+\.\d+\.\d+|0\.0\.0\.0|\[::1\]|\[::\])$/;

/** Whether the endpoint is on this machine, where nobody pays for what is made. */
export function isLocal(endpoint: string | null): boolean {
  const url = endpoint === null ? null : parsed(endpoint);
  return url !== null && localHosts.test(url.hostname);
}

function parsed(endpoint: string): URL | null {
  try {
    const url = new URL(endpoint);
    return url.protocol === "http:" || url.protocol === "https:" ? url : null;
  } catch {
    return null;
  }
}

const patienceMillis = 5_000;

const startIt = "start it, or unset AWS_ENDPOINT_URL";

/**
 * Asks the endpoint for anything at all, so that its absence is told at once, not after the SDK's retries.
 *
 * @param advice where nothing answers
 * @throws StreamError `invalid`: it is no URL; `transient`: nothing answers there
 */
export async function checkAnswers(endpoint: string, advice = startIt): Promise<void> {
  if (parsed(endpoint) === null)
    throw new StreamError(
      "invalid",
      `AWS_ENDPOINT_URL is no URL: ${endpoint}; write one such as http://127.0.0.1:4566, or unset it`,
    );
  try {
    const answer = await fetch(endpoint, { redirect: "manual", signal: AbortSignal.timeout(patienceMillis) });
    await answer.body?.cancel();
  } catch (cause) {
    if (answersOtherwise(cause)) return;
    throw new StreamError("transient", `nothing answers at ${endpoint} (${reason(cause)}); ${advice}`, { cause });
  }
}

const codeOf = (cause: unknown): string => {
  const inner = cause instanceof Error ? cause.cause : null;
  const [first] = inner instanceof AggregateError ? inner.errors : [inner];
  return first instanceof Error && "code" in first ? String(first.code) : "";
};

/** It speaks, only not HTTP/1.1 or not with a certificate that Node trusts: the SDK may know better, and else says so itself. */
function answersOtherwise(cause: unknown): boolean {
  const code = codeOf(cause);
  return code.startsWith("HPE_") || code.includes("CERT") || code.includes("TLS") || code.includes("SELF_SIGNED");
}

function reason(cause: unknown): string {
  if (cause instanceof Error && cause.name === "TimeoutError") return `no answer within ${patienceMillis / 1_000} s`;
  return codeOf(cause) || (cause instanceof Error ? cause.message : "no answer");
}
