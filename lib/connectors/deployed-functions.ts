import { GetFunctionConfigurationCommand, InvokeCommand, type LambdaClient } from "@aws-sdk/client-lambda";
import { StreamError } from "../model/errors.js";
import { awsError } from "./aws-errors.js";

/** A function of Lambda as it is deployed. */
export interface DeployedFunction {
  /** Without its alias or version. */
  readonly name: string;
  readonly runtime: string;
  readonly variables: Readonly<Record<string, string>>;
  readonly logGroup: string;
}

/**
 * How a function is set up.
 *
 * @param name may have an alias, as in "flights-supervisor:live"
 * @throws StreamError `invalid`: it is not there, or may not be looked at
 * @example const { variables } = await describeFunction(clients.lambda, "flights-supervisor:live");
 */
export async function describeFunction(client: LambdaClient, name: string): Promise<DeployedFunction> {
  try {
    const found = await client.send(new GetFunctionConfigurationCommand({ FunctionName: name }));
    const plain = found.FunctionName ?? name;
    return {
      name: plain,
      runtime: found.Runtime ?? "unknown",
      variables: found.Environment?.Variables ?? {},
      logGroup: found.LoggingConfig?.LogGroup ?? `/aws/lambda/${plain}`,
    };
  } catch (error) {
    throw failed(error, name, "lambda:GetFunctionConfiguration on it", "look at its configuration");
  }
}

/** The functions know each other's names. @throws StreamError `invalid`: it is another function */
export function taskFunctionOf({ name, variables }: DeployedFunction): string {
  const task = variables.TIDEMARK_TASK_FUNCTION;
  if (task !== undefined) return task;
  throw new StreamError(
    "invalid",
    `Lambda function "${name}" is no supervisor of tidemark: it has no TIDEMARK_TASK_FUNCTION; set TIDEMARK_SUPERVISOR_FUNCTION to the stack's output`,
  );
}

/** @throws StreamError `invalid`: it may not be invoked by who asks. Nothing is invoked. */
export async function checkInvocable(client: LambdaClient, name: string): Promise<void> {
  try {
    await client.send(new InvokeCommand({ FunctionName: name, InvocationType: "DryRun" }));
  } catch (error) {
    throw failed(error, name, "lambda:InvokeFunction on it", "invocation on trial");
  }
}

/** A cold start in a VPC, and calls of the function's own that are tried again. */
const answerMillisMax = 60_000;

/**
 * Invokes a version of a function, and waits for what it answers.
 *
 * @throws StreamError `invalid`: it is not there, or may not be invoked; `transient`: it failed, with what it said
 */
export async function askFunction(
  client: LambdaClient,
  { name, version }: { readonly name: string; readonly version: string },
  event: object,
): Promise<unknown> {
  const command = new InvokeCommand({
    FunctionName: name,
    Qualifier: version,
    Payload: Buffer.from(JSON.stringify(event)),
  });
  const where = `${name}:${version}`;
  const sent = client.send(command, { requestTimeout: answerMillisMax });
  const { FunctionError, Payload } = await sent.catch((error: unknown) => {
    throw failed(error, where, "lambda:InvokeFunction on it", "a question");
  });
  const answer: unknown = JSON.parse(Buffer.from(Payload ?? []).toString() || "null");
  if (FunctionError === undefined) return answer;
  const { errorMessage = FunctionError } = answer as { readonly errorMessage?: string };
  throw new StreamError("transient", `Lambda function "${where}" could not answer: ${errorMessage}`);
}

function failed(error: unknown, name: string, actions: string, doing: string): StreamError {
  const target = { name: `Lambda function "${name}"`, actions, whenAbsent: "deploy it, or check its name" };
  return awsError(error, { intent: "read", target, doing });
}
