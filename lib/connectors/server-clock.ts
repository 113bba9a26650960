import type { KinesisClient } from "@aws-sdk/client-kinesis";
import { StreamError } from "../model/errors.js";
import { type Millis, millis } from "../model/ids.js";

/** The server's clock is the Date header of its answer (whole seconds, rounded down), which the SDK does not hand on by itself. */
export function serverClock(client: KinesisClient): (answer: object) => Millis {
  const dates = new WeakMap<object, string | undefined>();
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const { headers } = result.response as { readonly headers: Readonly<Record<string, string>> };
      if (result.output !== undefined) dates.set(result.output, headers.date);
      return result;
    },
    // High: outside the SDK's deserializer, which makes the output.
    { step: "deserialize", priority: "high" },
  );
  return (answer) => {
    const time = Date.parse(dates.get(answer) ?? "");
    if (Number.isFinite(time)) return millis(time);
    throw new StreamError(
      "invalid",
      "the Kinesis endpoint answers without a Date header, which retention is judged by",
    );
  };
}
