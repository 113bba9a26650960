// The functions of the runner's tests: what an invocation does is said in its event.
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

let invocations = 0;
let ticks = 0;
let previousContext = null;
setInterval(() => {
  ticks += 1;
}, 10);

const acts = {
  state: () => ({ pid: process.pid, invocations, ticks }),
  async sleep({ ms }) {
    await sleep(ms);
    return { pid: process.pid };
  },
  async remaining({ ms }, context) {
    const before = context.getRemainingTimeInMillis();
    await sleep(ms);
    return { before, after: context.getRemainingTimeInMillis() };
  },
  context(_, { awsRequestId, functionName, functionVersion, invokedFunctionArn, memoryLimitInMB }) {
    return { awsRequestId, functionName, functionVersion, invokedFunctionArn, memoryLimitInMB, env: process.env };
  },
  same(_, context) {
    const same = previousContext === context.awsRequestId;
    previousContext = context.awsRequestId;
    return same;
  },
  // A fact that outlives the process: a line in a file.
  record({ file, ...rest }, { awsRequestId }) {
    appendFileSync(file, `${JSON.stringify({ requestId: awsRequestId, pid: process.pid, ...rest })}\n`);
  },
  throwing({ message }) {
    throw new TypeError(message);
  },
  // Fails until the file has so many lines.
  failing({ file, times }, { awsRequestId }) {
    const before = existsSync(file) ? readFileSync(file, "utf8").trim().split("\n").length : 0;
    appendFileSync(file, `${awsRequestId}\n`);
    if (before < times) throw new Error(`failure ${before + 1}`);
  },
  exit: ({ code }) => process.exit(code),
  async unhandled() {
    Promise.reject(new Error("nobody awaits this"));
    await sleep(10_000);
  },
  async uncaught() {
    setTimeout(() => {
      throw new RangeError("out of a timer");
    });
    await sleep(10_000);
  },
  print({ lines }) {
    console.log(lines.join("\n"));
    console.error("and this is an error");
  },
  circular() {
    const value = {};
    value.value = value;
    return value;
  },
  // Hands over to a successor until `left` is 0, as sessions do.
  async chain(event, context) {
    acts.record({ file: event.file, left: event.left }, context);
    if (event.left === 0) return;
    const { InvokeCommand, LambdaClient } = await import("@aws-sdk/client-lambda");
    const client = new LambdaClient({});
    await client.send(
      new InvokeCommand({
        FunctionName: context.functionName,
        Qualifier: context.functionVersion,
        InvocationType: "Event",
        Payload: JSON.stringify({ ...event, left: event.left - 1 }),
      }),
    );
    client.destroy();
  },
};

export async function handler(event, context) {
  invocations += 1;
  return acts[event.do](event, context);
}

// A failure destination records whole events.
export async function destination(event, context) {
  appendFileSync(process.env.DESTINATION_FILE, `${JSON.stringify({ event, requestId: context.awsRequestId })}\n`);
}
