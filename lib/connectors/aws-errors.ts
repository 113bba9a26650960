import type { __Client, DynamoDBClient, DynamoDBClientResolvedConfig } from "@aws-sdk/client-dynamodb";
import { StreamError } from "../model/errors.js";

/** What was called, for messages. */
export interface AwsTarget {
  /** Such as `DynamoDB table "state"`. */
  readonly name: string;
  /** The IAM actions that the adapter needs, for whoever is refused them. */
  readonly actions: string;
  /** What to do where it does not exist. */
  readonly whenAbsent: string;
}

export interface AwsCall {
  readonly intent: "read" | "write";
  readonly target: AwsTarget;
  /** Such as `swap of "p/head"`. */
  readonly doing: string;
}

const throttled = new Set([
  "ProvisionedThroughputExceededException",
  "LimitExceededException",
  "KMSThrottlingException",
  "ThrottlingException",
  "Throttling",
  "ThrottledException",
  "RequestLimitExceeded",
  "RequestThrottledException",
  "TooManyRequestsException",
  "EC2ThrottledException",
  "SlowDown",
  "PriorRequestNotComplete",
]);

/** Refused for now, though the status of some of them says otherwise. */
const busy = new Set(["TransactionConflictException", "ResourceInUseException", "OperationAborted", "RequestTimeout"]);

const credentials = new Set([
  "CredentialsProviderError",
  "TokenProviderError",
  "UnrecognizedClientException",
  "InvalidClientTokenId",
  "InvalidAccessKeyId",
  "InvalidToken",
  "ExpiredToken",
  "ExpiredTokenException",
  "IncompleteSignature",
  "InvalidSignatureException",
  "SignatureDoesNotMatch",
  "RequestTimeTooSkewed",
  "MissingAuthenticationToken",
  "MissingAuthenticationTokenException",
]);

const denied = new Set(["AccessDenied", "AccessDeniedException", "AllAccessDisabled"]);
/** Of the key that something is encrypted with. S3 says "KMS.DisabledException" and the like. */
const keyRefused = /^KMS\.?\w*(AccessDenied|Disabled|InvalidState|NotFound|OptInRequired)/;
const elsewhere = new Set(["PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed"]);
const absent = new Set(["ResourceNotFoundException", "NoSuchBucket", "TableNotFoundException"]);
const unreachable = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"]);

interface Failure {
  readonly name: string;
  readonly message: string;
  /** 0: there was no answer. */
  readonly status: number;
  readonly code: string;
  readonly endpoint: string;
}

export const isThrottled = (error: unknown): boolean => throttled.has(failureOf(error).name);

/**
 * The error of an SDK call as ours. Nobody but a person can mend missing credentials, rights, tables or buckets: `invalid`, with what to do.
 * Otherwise a read is `transient`; a write is so only where no attempt at it can have reached the service, else `ambiguous` (R5).
 */
export function awsError(error: unknown, call: AwsCall): StreamError {
  if (error instanceof StreamError) return error;
  const failure = failureOf(error);
  const advice = adviceFor(failure, call.target);
  const text = `${call.target.name}: ${call.doing} failed: ${advice.text}${said(failure)}`;
  if (error instanceof TypeError || error instanceof ReferenceError)
    return new StreamError("bug", text, { cause: error });
  if (advice.lasting) return new StreamError("invalid", text, { cause: error });
  const mayHaveHappened = call.intent === "write" && (!refused(failure) || wasUnsure(error));
  return new StreamError(mayHaveHappened ? "ambiguous" : "transient", text, { cause: error });
}

function adviceFor(failure: Failure, target: AwsTarget): { readonly lasting: boolean; readonly text: string } {
  const lasting = (text: string) => ({ lasting: true, text });
  const passing = (text: string) => ({ lasting: false, text });
  const { name, status, code, message } = failure;
  if (credentials.has(name)) {
    return lasting("no valid AWS credentials; set AWS_PROFILE or the AWS_ACCESS_KEY_ID family, or log in again");
  }
  if (message === "Region is missing") return lasting("no AWS region; set AWS_REGION");
  if (throttled.has(name)) return passing("throttled");
  if (busy.has(name)) return passing("refused for now");
  if (keyRefused.test(name))
    return lasting(
      "its KMS key may not be used, is disabled, or is gone; give the role kms:Decrypt, to write kms:GenerateDataKey too, on that key, and see that it is enabled",
    );
  if (denied.has(name) || status === 403) return lasting(`access denied; the role needs ${target.actions}`);
  if (pageAnswered.test(message) && status < 500)
    return lasting("what answers there is no such service, but a web page; check AWS_ENDPOINT_URL");
  if (elsewhere.has(name) || status === 301) return lasting("it is in another region; set AWS_REGION to that");
  if (absent.has(name)) return lasting(`it does not exist in this account and region; ${target.whenAbsent}`);
  if (unreachable.has(code)) return passing(`nothing answers at ${failure.endpoint}; check AWS_ENDPOINT_URL`);
  if (code === "ERR_HTTP2_ERROR" && message === "Protocol error") {
    return lasting("the endpoint does not speak HTTP/2, which the SDK's Kinesis client does; use another endpoint");
  }
  const passes = status < 400 || status >= 500 || status === 408 || status === 409 || status === 429;
  return passes ? passing(status === 0 ? "no answer" : `status ${status}`) : lasting("the service refused the request");
}

/** The SDK's JSON parser has met HTML. */
const pageAnswered = /^Unexpected token '?</;
/** For programmers, who have the error's object. */
const hiddenField = /\n +Deserialization error: .*$/s;

const said = ({ name, message }: Failure): string =>
  ` (${[name, message.replace(hiddenField, "")].filter((part) => part !== "").join(": ")})`;

/** Whether the service (or the lack of one) says that this attempt did nothing. */
function refused({ name, status, code }: Failure): boolean {
  return unreachable.has(code) || throttled.has(name) || busy.has(name) || (status >= 400 && status < 500);
}

function failureOf(error: unknown): Failure {
  const parts = typeof error === "object" && error !== null ? (error as Record<string, unknown>) : {};
  const metadata = parts.$metadata as { readonly httpStatusCode?: number } | undefined;
  // Where a name has several addresses, Node gives one error for each, and the outer one has neither address nor message.
  const [first] = Array.isArray(parts.errors) ? (parts.errors as readonly Record<string, unknown>[]) : [];
  const host = parts.address ?? parts.hostname ?? first?.address;
  return {
    name: String(parts.name ?? ""),
    message: String(parts.message || first?.message || ""),
    status: metadata?.httpStatusCode ?? 0,
    code: String(parts.code ?? first?.code ?? ""),
    endpoint: host === undefined ? "the endpoint" : [host, parts.port ?? first?.port ?? []].flat().join(":"),
  };
}

const unsure = Symbol("an attempt may have happened");
const wasUnsure = (error: unknown): boolean => Object.hasOwn(error as object, unsure);

type CallOptions = NonNullable<Parameters<DynamoDBClient["send"]>[1]>;
/** Any client: what its commands are does not matter here. */
type WithMiddleware<Input extends object, Output extends { $metadata: object }> = Pick<
  __Client<CallOptions, Input, Output, DynamoDBClientResolvedConfig>,
  "middlewareStack"
>;

/**
 * The SDK repeats a call by itself and throws the error of the last attempt, which says nothing of those before: after a time-out
 * it may be "throttled". This marks the error where any attempt may have reached the service. Installing it twice does no harm.
 */
export function markLostAnswers<Input extends object, Output extends { $metadata: object }>(
  client: WithMiddleware<Input, Output>,
): void {
  client.middlewareStack.add(
    (next, context) => async (args) => {
      try {
        return await next(args);
      } catch (error) {
        const seen = context as Record<symbol, unknown>;
        if (!refused(failureOf(error))) seen[unsure] = true;
        if (seen[unsure] === true && typeof error === "object" && error !== null) {
          Object.defineProperty(error, unsure, { value: true, configurable: true });
        }
        throw error;
      }
    },
    // Low: inside the SDK's retries, so that it sees each attempt.
    { step: "finalizeRequest", priority: "low", name: "markLostAnswers", override: true },
  );
}
