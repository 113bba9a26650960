// Functions run as processes of this machine: which of them work, and killing one.
import { GetFunctionEventInvokeConfigCommand, type LambdaClient } from "@aws-sdk/client-lambda";
import { expect } from "vitest";
import { mustRun } from "../localstack/commands.js";

export interface FunctionProcess {
  readonly pid: number;
  readonly version: string;
}

/** The processes of a function that work at this moment: between invocations they stand still. */
export async function working(functionName: string): Promise<readonly FunctionProcess[]> {
  const lines = (await mustRun("ps", ["axeww", "-o", "pid=,stat=,command="])).split("\n");
  return lines.flatMap((line) => {
    const [pid, state = ""] = line.trim().split(/\s+/);
    const version = / AWS_LAMBDA_FUNCTION_VERSION=(\S+)/.exec(line)?.[1];
    const isIt = line.includes(` AWS_LAMBDA_FUNCTION_NAME=${functionName} `) && version !== undefined;
    return isIt && !/^[TZ]/.test(state) ? [{ pid: Number(pid), version }] : [];
  });
}

/** A session that fails is told to the supervisor, of whichever version it is. */
export async function expectFailureDestination(
  lambda: LambdaClient,
  FunctionName: string,
  Qualifier: string,
): Promise<void> {
  expect(await lambda.send(new GetFunctionEventInvokeConfigCommand({ FunctionName, Qualifier }))).toMatchObject({
    MaximumRetryAttempts: 0,
    MaximumEventAgeInSeconds: 60,
    DestinationConfig: { OnFailure: { Destination: expect.stringMatching(/-supervisor:live$/) } },
  });
}
