// A function that tells what it gets to whoever started the test, and does what the event asks for.
import { setTimeout as sleep } from "node:timers/promises";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";

/** What the function is to do with an event; without one, it only tells of it. */
export interface Asked {
  readonly do: "answer" | "throw" | "hang" | "exit" | "wait" | "invoke";
  readonly name?: string;
}

/** What it tells of an invocation. */
export interface Told {
  readonly code: string;
  readonly functionName: string;
  readonly functionVersion: string;
  readonly requestId: string;
  readonly pid: number;
  readonly payload: unknown;
}

interface Context {
  readonly awsRequestId: string;
  readonly functionName: string;
  readonly functionVersion: string;
  getRemainingTimeInMillis(): number;
}

/** Replaced when the function is bundled: which of its codes this is. */
declare const CODE: string;

let ticks = 0;

export async function handler(payload: unknown, context: Context): Promise<unknown> {
  const { awsRequestId: requestId, functionName, functionVersion } = context;
  const told: Told = { code: CODE, functionName, functionVersion, requestId, pid: process.pid, payload };
  await fetch(process.env.RECORDER ?? "", { method: "POST", body: JSON.stringify(told) });
  const asked = payload as Partial<Asked>;
  console.log(`asked to ${asked.do}`);
  switch (asked.do) {
    case "throw":
      throw new TypeError("as it was asked to");
    case "hang":
      for (;;) await sleep(1_000);
    case "exit":
      return process.exit(3);
    case "wait":
      await sleep(2_000);
      break;
    case "invoke":
      await invokeMyself(context, { do: "answer", name: `${asked.name} again` });
      break;
    default:
      // Goes on after the answer, unless the process is frozen then.
      setInterval(() => {
        ticks += 1;
      }, 10).unref();
  }
  return { ...told, remaining: context.getRemainingTimeInMillis(), ticks };
}

async function invokeMyself({ functionName, functionVersion }: Context, payload: Asked): Promise<void> {
  const lambda = new LambdaClient({});
  const Payload = Buffer.from(JSON.stringify(payload));
  await lambda.send(
    new InvokeCommand({
      FunctionName: functionName,
      Qualifier: functionVersion,
      InvocationType: "Event",
      Payload,
    }),
  );
  lambda.destroy();
}
