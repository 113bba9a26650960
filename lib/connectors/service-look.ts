import { DescribeTableCommand, type DynamoDBClient } from "@aws-sdk/client-dynamodb";
import type { StreamError } from "../model/errors.js";
import { type Millis, millis } from "../model/ids.js";
import { awsError } from "./aws-errors.js";

/** What a signed call has told of the caller and of the service. */
export interface ServiceLook {
  readonly region: string;
  readonly accessKeyId: string;
  /** Null where the service did not say: there is no such table. */
  readonly account: string | null;
  /** The Date header of the answer: whole seconds, rounded down. Null: it had none. */
  readonly serverNow: Millis | null;
}

/** Credentials are good where these are the answer, too. */
const recognised: ReadonlySet<string> = new Set(["ResourceNotFoundException", "AccessDeniedException"]);

/**
 * Asks DynamoDB for a table that may not be there, which needs no right: a refusal, too, says who asks and what time it is there.
 *
 * @throws StreamError `invalid`: there are no credentials, they are not valid, or there is no region; `transient`: nothing answers
 */
export async function lookAtService(client: DynamoDBClient, table: string): Promise<ServiceLook> {
  const command = new DescribeTableCommand({ TableName: table });
  let serverNow: Millis | null = null;
  command.middlewareStack.add(
    (next) => async (args) => {
      try {
        const result = await next(args);
        serverNow = dateOf(result.response);
        return result;
      } catch (error) {
        serverNow = dateOf((error as { readonly $response?: unknown }).$response);
        throw error;
      }
    },
    // High: outside the SDK's deserializer, which makes output and error.
    { step: "deserialize", priority: "high", name: "dateOfAnswer" },
  );
  try {
    const [region, { accessKeyId }] = await Promise.all([client.config.region(), client.config.credentials()]);
    const account = await client.send(command).then(({ Table }) => accountIn(Table?.TableArn ?? ""), accountOfRefusal);
    return { region, accessKeyId, account, serverNow };
  } catch (error) {
    throw failed(error, table);
  }
}

const accountOfRefusal = (error: unknown): string | null => {
  if (!(error instanceof Error) || !recognised.has(error.name)) throw error;
  return accountIn(error.message);
};

/** Of the first ARN in a text. */
const accountIn = (text: string): string | null => /arn:[\w-]+:\w+:[\w-]*:(\d{12}):/.exec(text)?.[1] ?? null;

function dateOf(response: unknown): Millis | null {
  const { headers } = (response ?? {}) as { readonly headers?: Readonly<Record<string, string>> };
  const time = Date.parse(headers?.date ?? "");
  return Number.isFinite(time) ? millis(time) : null;
}

function failed(error: unknown, table: string): StreamError {
  const target = {
    name: `DynamoDB table "${table}"`,
    actions: "dynamodb:DescribeTable on it",
    whenAbsent: "create it",
  };
  return awsError(error, { intent: "read", target, doing: "describe" });
}
