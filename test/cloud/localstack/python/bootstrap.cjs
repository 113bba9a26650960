// What runs a function in its process: loads the handler, and answers one line of JSON for each line that comes.
const { existsSync, writeSync } = require("node:fs");
const { join } = require("node:path");
const { createInterface } = require("node:readline");
const { pathToFileURL } = require("node:url");

const answers = Number(process.env.TIDEMARK_ANSWERS);
delete process.env.TIDEMARK_ANSWERS;
const env = process.env;
const dot = env._HANDLER.lastIndexOf(".");
const [file, name] = [env._HANDLER.slice(0, dot), env._HANDLER.slice(dot + 1)];

const answer = (value) => writeSync(answers, `${JSON.stringify(value)}\n`);
const answerError = (error) =>
  answer({
    error: {
      errorType: error?.name ?? "Error",
      errorMessage: String(error?.message ?? error),
      trace: String(error?.stack ?? "").split("\n"),
    },
  });

async function load() {
  const path = [".js", ".mjs", ".cjs"].map((end) => join(env.LAMBDA_TASK_ROOT, file + end)).find(existsSync);
  if (path === undefined) throw named("Runtime.ImportModuleError", `Cannot find module '${file}'`);
  const loaded = await import(pathToFileURL(path).href);
  const handler = loaded[name] ?? loaded.default?.[name];
  if (typeof handler !== "function")
    throw named("Runtime.HandlerNotFound", `${env._HANDLER} is undefined or not exported`);
  return handler;
}

const named = (errorName, message) => Object.assign(new Error(message), { name: errorName });

const contextOf = ({ id, arn, deadline }) => ({
  awsRequestId: id,
  invokedFunctionArn: arn,
  functionName: env.AWS_LAMBDA_FUNCTION_NAME,
  functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
  memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
  logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
  logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
  callbackWaitsForEmptyEventLoop: true,
  getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
});

async function invoke(handler, request) {
  answer({ begun: request.id });
  try {
    const event = request.payload === "" ? {} : JSON.parse(request.payload);
    answer({ result: JSON.stringify(await handler(event, contextOf(request))) ?? "null" });
  } catch (error) {
    console.error(error);
    answerError(error);
  }
}

load().then(
  (handler) => {
    answer({ loaded: true });
    createInterface({ input: process.stdin }).on("line", (line) => void invoke(handler, JSON.parse(line)));
    // The emulator has ended, whatever the function still does.
    process.stdin.on("end", () => process.exit());
  },
  (error) => {
    console.error(error);
    answerError(error);
    process.exitCode = 1;
  },
);
