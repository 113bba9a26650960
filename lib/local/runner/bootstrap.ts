/**
 * The program of a function's process: it imports the entry, and calls the handler for each `invoke` message.
 * It knows nothing of freezing: a frozen process simply does not run. Started by the runner with `child_process.fork`.
 */
import { pathToFileURL } from "node:url";
import { entryVariable, type FromFunction, type FunctionError, handlerVariable, type Invoke } from "./messages.js";

type Handler = (event: unknown, context: object) => unknown;

const entry = process.env[entryVariable];
if (entry !== undefined && process.send !== undefined) await serve(entry, process.env[handlerVariable] ?? "handler");

async function serve(path: string, handlerName: string): Promise<void> {
  // The runner is gone: nobody will hear an answer, and nobody will ever freeze or end this process.
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
  // Ctrl-C reaches the whole process group; it is the runner that ends its processes, in order.
  process.on("SIGINT", () => {});
  process.on("uncaughtException", (error) => leave({ kind: "crashed", error: describe(error) }));
  process.on("unhandledRejection", (reason) => {
    const { errorMessage, errorType, trace } = describe(reason);
    const message = `${errorType}: ${errorMessage}`;
    const error = { errorType: "Runtime.UnhandledPromiseRejection", errorMessage: message, trace: trace ?? [] };
    leave({ kind: "crashed", error });
  });
  try {
    const handler = await load(path, handlerName);
    process.on("message", (message: Invoke) => {
      if (message.kind === "invoke") void invoke(handler, message);
    });
    say({ kind: "ready" });
  } catch (error) {
    leave({ kind: "initFailed", error: describeInit(error) });
  }
}

async function load(path: string, handlerName: string): Promise<Handler> {
  const loaded = (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  const handler = loaded[handlerName] ?? (loaded.default as Record<string, unknown> | undefined)?.[handlerName];
  if (typeof handler === "function") return handler as Handler;
  const error = new Error(`${path} has no exported function "${handlerName}"`);
  error.name = "Runtime.HandlerNotFound";
  throw error;
}

async function invoke(handler: Handler, message: Invoke): Promise<void> {
  const { requestId } = message;
  try {
    const result = await handler(JSON.parse(message.payload), contextOf(message));
    say({ kind: "answered", requestId, payload: JSON.stringify(result) ?? "null" });
  } catch (error) {
    say({ kind: "failed", requestId, error: describe(error) });
  }
}

function contextOf({ requestId, invokedFunctionArn, deadlineAtMs }: Invoke): object {
  return {
    awsRequestId: requestId,
    invokedFunctionArn,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    callbackWaitsForEmptyEventLoop: false,
    getRemainingTimeInMillis: () => Math.max(0, deadlineAtMs - Date.now()),
  };
}

function say(message: FromFunction): void {
  if (process.connected) process.send?.(message);
}

function leave(message: FromFunction): void {
  process.exitCode = 1;
  if (!process.connected) process.exit(1);
  process.send?.(message, undefined, undefined, () => process.exit(1));
}

function describe(thrown: unknown): FunctionError {
  if (!(thrown instanceof Error)) return { errorType: typeof thrown, errorMessage: String(thrown) };
  return { errorType: thrown.name, errorMessage: thrown.message, trace: (thrown.stack ?? "").split("\n") };
}

function describeInit(thrown: unknown): FunctionError {
  const error = describe(thrown);
  const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
  if (code === "ERR_MODULE_NOT_FOUND") return { ...error, errorType: "Runtime.ImportModuleError" };
  if (thrown instanceof SyntaxError) return { ...error, errorType: "Runtime.UserCodeSyntaxError" };
  return error;
}
