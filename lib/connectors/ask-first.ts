import type { __Client, DynamoDBClient, DynamoDBClientResolvedConfig } from "@aws-sdk/client-dynamodb";
import type { AwsClients } from "./clients.js";

/**
 * Has each host asked for any answer before the first call there: whoever waits at a terminal is told after seconds that there is
 * none, not after all repeats of a call.
 *
 * @param ask asks once for all calls; what it throws they fail with
 * @example askFirst(clients, (origin) => checkAnswers(origin));
 */
export function askFirst(clients: AwsClients, ask: (origin: string) => Promise<void>): void {
  const asked = new Map<string, Promise<void>>();
  const once = (origin: string): Promise<void> => {
    const answer = asked.get(origin) ?? ask(origin);
    asked.set(origin, answer);
    return answer;
  };
  askBefore(clients.dynamo, once);
  askBefore(clients.kinesis, once);
  askBefore(clients.lambda, once);
  askBefore(clients.s3, once);
}

type CallOptions = NonNullable<Parameters<DynamoDBClient["send"]>[1]>;
/** Any client. */
type WithMiddleware<Input extends object, Output extends { $metadata: object }> = Pick<
  __Client<CallOptions, Input, Output, DynamoDBClientResolvedConfig>,
  "middlewareStack"
>;

function askBefore<Input extends object, Output extends { $metadata: object }>(
  client: WithMiddleware<Input, Output>,
  once: (origin: string) => Promise<void>,
): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const { protocol, hostname, port } = args.request as {
        readonly protocol: string;
        readonly hostname: string;
        readonly port?: number;
      };
      await once(new URL(`${protocol}//${hostname}${port === undefined ? "" : `:${port}`}`).origin);
      return next(args);
    },
    // Outside the SDK's retries, where the host is known.
    { step: "build", name: "askFirst", override: true },
  );
}
