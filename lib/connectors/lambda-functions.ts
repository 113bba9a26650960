import { InvokeCommand, type LambdaClient } from "@aws-sdk/client-lambda";
import type { Functions } from "../ports/functions.js";
import { awsError, markLostAnswers } from "./aws-errors.js";

export interface FunctionNames {
  /** The function that runs tasks; it is invoked by version. */
  readonly task: string;
  /** Its current version is invoked, or the alias in its name ("supervisor:live"). */
  readonly supervisor: string;
}

/**
 * Lambda's asynchronous invocation: the answer says that the event is queued, no more.
 * https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
 *
 * @example const functions = lambdaFunctions(clients.lambda, { task: "flights-task", supervisor: "flights-supervisor" });
 */
export function lambdaFunctions(client: LambdaClient, names: FunctionNames): Functions {
  markLostAnswers(client);
  const invoke = async (name: string, version: string | null, payload: object): Promise<void> => {
    const command = new InvokeCommand({
      FunctionName: name,
      InvocationType: "Event",
      Payload: Buffer.from(JSON.stringify(payload)),
      ...(version === null ? {} : { Qualifier: version }),
    });
    try {
      await client.send(command);
    } catch (error) {
      const target = {
        name: `Lambda function "${name}"${version === null ? "" : `, version ${version}`}`,
        actions: "lambda:InvokeFunction on it and its versions",
        whenAbsent: "deploy it, or check its name and version",
      };
      throw awsError(error, { intent: "write", target, doing: "invocation" });
    }
  };
  return {
    invokeTask: (functionVersion, invocation) => invoke(names.task, functionVersion, invocation),
    // Both functions are of one code: that of an older version is reached by the version of the tasks (P4).
    callSupervisor: (call) =>
      call.by === undefined ? invoke(names.supervisor, null, call) : invoke(names.task, call.by, call),
  };
}
