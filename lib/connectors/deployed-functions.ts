import { GetFunctionConfigurationCommand, InvokeCommand, type LambdaClient } from "@aws-sdk/client-lambda";
import type { StreamError } from "../model/errors.js";
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

/** @throws StreamError `invalid`: it may not be invoked by who asks. Nothing is invoked. */
export async function checkInvocable(client: LambdaClient, name: string): Promise<void> {
  try {
    await client.send(new InvokeCommand({ FunctionName: name, InvocationType: "DryRun" }));
  } catch (error) {
    throw failed(error, name, "lambda:InvokeFunction on it", "invocation on trial");
  }
}

function failed(error: unknown, name: string, actions: string, doing: string): StreamError {
  const target = { name: `Lambda function "${name}"`, actions, whenAbsent: "deploy it, or check its name" };
  return awsError(error, { intent: "read", target, doing });
}
