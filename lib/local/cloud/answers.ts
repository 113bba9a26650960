import type { Answer, Fields } from "./emulators.js";

/** A refusal in the shape of the JSON protocols of AWS. */
export function refusal(type: string, message: string, more: Fields = {}): Answer {
  return { status: 400, body: { __type: type, message, ...more } };
}

/** What is answered to an operation that the embedded cloud does not have: the service's own word for it. */
export function unknownOperation(service: string, operation: string): Answer {
  return refusal(
    "UnknownOperationException",
    `${service} ${operation} is not part of the embedded cloud; use AWS or an emulator that has it`,
  );
}

/** The short name in an ARN such as `arn:aws:kinesis:us-east-1:000000000000:stream/clicks`; other strings as they are. */
export function nameInArn(value: unknown, kind: "stream" | "table"): unknown {
  if (typeof value !== "string" || !value.startsWith("arn:")) return value;
  const resource = value.split(":").slice(5).join(":");
  const [found, name] = resource.split("/");
  return found === kind && name !== undefined ? name : value;
}
