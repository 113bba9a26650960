import { describe, expect, it } from "vitest";
import { checkDefinition, type FunctionDefinition, parseFunctionName } from "../../lib/local/runner/functions.js";
import { readInvokeRequest, writeInvokeAnswer } from "../../lib/local/runner/invoke-api.js";
import { chooseLeftovers, type ProcessView, type RunnerRecord } from "../../lib/local/runner/leftovers.js";
import { cutLines } from "../../lib/local/runner/lines.js";
import { isFromFunction } from "../../lib/local/runner/messages.js";
import { seededRandom } from "../../lib/local/runner/queue.js";

const arn = "arn:aws:lambda:eu-central-1:123456789012:function:task-a_1";

describe("the name of a function", () => {
  it.each([
    ["task", null, { functionName: "task", qualifier: null }],
    ["task", "7", { functionName: "task", qualifier: "7" }],
    ["task:7", null, { functionName: "task", qualifier: "7" }],
    ["task:7", "7", { functionName: "task", qualifier: "7" }],
    ["task:$LATEST", null, { functionName: "task", qualifier: "$LATEST" }],
    ["123456789012:function:task", null, { functionName: "task", qualifier: null }],
    ["123456789012:function:task:7", null, { functionName: "task", qualifier: "7" }],
    [arn, null, { functionName: "task-a_1", qualifier: null }],
    [`${arn}:live`, null, { functionName: "task-a_1", qualifier: "live" }],
  ])("%s with qualifier %s", (text, qualifier, reference) => {
    expect(parseFunctionName(text, qualifier)).toEqual({ kind: "reference", reference });
  });

  it.each([
    ["task:7", "8"],
    ["", null],
    ["a b", null],
    ["../etc", null],
    ["arn:aws:s3:::bucket", null],
  ])("%s with qualifier %s is refused", (text, qualifier) => {
    expect(parseFunctionName(text, qualifier).kind).toBe("invalid");
  });
});

describe("a definition", () => {
  const asyncConfig = { retries: 2, maxAgeMs: 60_000, onFailure: null } as const;
  const good = {
    name: "task",
    version: "1",
    entry: "/app/task.mjs",
    handler: "handler",
    timeoutMs: 1,
    env: {},
    asyncConfig,
  };

  it.each([
    ["name", { name: "a b" }],
    ["version", { version: "" }],
    ["entry", { entry: "task.mjs" }],
    ["entry", { entry: "/app/task.ts" }],
    ["timeoutMs", { timeoutMs: 0 }],
    ["timeoutMs", { timeoutMs: 900_001 }],
    ["memoryMb", { memoryMb: 1 }],
    ["asyncConfig.retries", { asyncConfig: { ...asyncConfig, retries: 3 } }],
    ["asyncConfig.maxAgeMs", { asyncConfig: { ...asyncConfig, maxAgeMs: 0 } }],
  ])("with a wrong %s is refused: %j", (field, wrong) => {
    expect(() => checkDefinition({ ...good, ...wrong } as FunctionDefinition)).toThrow(
      `function ${{ ...good, ...wrong }.name}: ${field} must`,
    );
  });

  it("that is right is not", () => {
    expect(() => checkDefinition(good)).not.toThrow();
  });
});

describe("a request of the Invoke API", () => {
  const read = (url: string, given: { method?: string; invocationType?: string; body?: string } = {}) => {
    const { method = "POST", invocationType, body = "" } = given;
    return readInvokeRequest({ method, url, invocationType, body: Buffer.from(body) });
  };
  const path = "/2015-03-31/functions/task/invocations";

  it.each([
    [path, {}, { functionName: "task", qualifier: null, invocationType: "RequestResponse", payload: "{}" }],
    [
      `${path}?Qualifier=%24LATEST`,
      { invocationType: "Event", body: "[1]" },
      { functionName: "task", qualifier: "$LATEST", invocationType: "Event", payload: "[1]" },
    ],
    [
      `/2015-03-31/functions/${encodeURIComponent(arn)}/invocations`,
      { invocationType: "DryRun" },
      { functionName: arn, qualifier: null, invocationType: "DryRun", payload: "{}" },
    ],
  ])("%s %j", (url, given, request) => {
    expect(read(url, given)).toEqual({ kind: "request", request });
  });

  it.each([
    ["/2015-03-31/functions/", {}, 404, "UnknownOperationException"],
    [path, { method: "GET" }, 404, "UnknownOperationException"],
    [path, { invocationType: "Later" }, 400, "InvalidParameterValueException"],
    [path, { body: "{" }, 400, "InvalidRequestContentException"],
    [path, { invocationType: "Event", body: `"${"x".repeat(1_048_576)}"` }, 413, "RequestTooLargeException"],
  ])("%s %j is refused", (url, given, status, errorType) => {
    expect(read(url, given)).toMatchObject({ kind: "refused", status, errorType });
  });

  it("that is refused is answered in Lambda's form", () => {
    const refusal = { kind: "refused", status: 404, errorType: "ResourceNotFoundException", message: "none" } as const;
    const { status, headers, body } = writeInvokeAnswer(refusal);
    expect([status, headers]).toEqual([404, { "x-amzn-errortype": "ResourceNotFoundException" }]);
    expect(JSON.parse(body)).toMatchObject({ Type: "User", Message: "none" });
  });
});

describe("what a dead runner left", () => {
  const record: RunnerRecord = {
    format: 1,
    runnerId: "id-1",
    bootstrap: "/dist/bootstrap.js",
    runner: { pid: 10, startTime: "100" },
    children: [
      { pid: 11, startTime: "111" },
      { pid: 12, startTime: "112" },
    ],
  };
  const ours = "node /dist/bootstrap.js id-1 task:1";
  const choose = (processes: Readonly<Record<number, ProcessView>>) =>
    chooseLeftovers(record, (pid) => processes[pid] ?? null, "file");

  it.each([
    [
      "both live",
      { 11: { startTime: "111", commandLine: ours }, 12: { startTime: "112", commandLine: ours } },
      [11, 12],
    ],
    ["one is gone", { 12: { startTime: "112", commandLine: ours } }, [12]],
    ["another process has the pid", { 11: { startTime: "999", commandLine: ours } }, []],
    ["another program has it", { 11: { startTime: "111", commandLine: "vim id-1" } }, []],
    ["another runner's has it", { 11: { startTime: "111", commandLine: "node /dist/bootstrap.js id-2" } }, []],
    ["the runner's pid is another's now", { 10: { startTime: "999", commandLine: "sh" } }, []],
  ])("%s", (_, processes, leftovers) => {
    expect(choose(processes)).toEqual(leftovers);
  });

  it("is not touched while that runner lives", () => {
    const living = { 10: { startTime: "100", commandLine: "node" }, 11: { startTime: "111", commandLine: ours } };
    expect(() => choose(living)).toThrow(/in use by a runner that is alive \(pid 10\)/);
  });
});

describe("the output of a process", () => {
  it.each([
    ["a\nb\nc", { lines: ["a", "b"], rest: "c" }],
    ["", { lines: [], rest: "" }],
    ["a\n\n", { lines: ["a", ""], rest: "" }],
    ["x".repeat(65_540), { lines: ["x".repeat(65_536)], rest: "xxxx" }],
  ])("is cut into lines (%#)", (text, cut) => {
    expect(cutLines(text)).toEqual(cut);
  });

  it("as messages is ours only if it looks so", () => {
    expect([{ kind: "ready" }, { kind: "other" }, "ready", null, 1].map(isFromFunction)).toEqual([
      true,
      false,
      false,
      false,
      false,
    ]);
  });
});

describe("seeded chance", () => {
  it("repeats itself for a seed, lies in [0, 1), and is spread", () => {
    const draw = (seed: number) => Array.from({ length: 1_000 }, seededRandom(seed));
    expect(draw(5)).toEqual(draw(5));
    expect(draw(5)).not.toEqual(draw(6));
    expect(draw(5).every((number) => number >= 0 && number < 1)).toBe(true);
    expect(draw(5).filter((number) => number < 0.25).length).toBeGreaterThan(200);
    expect(draw(5).filter((number) => number < 0.25).length).toBeLessThan(300);
  });
});
