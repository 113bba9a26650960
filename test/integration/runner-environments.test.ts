import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { define, isAlive, openGround, until } from "./runner/fixture.js";

const act = "act";

describe("an environment of the runner", () => {
  it("is kept warm: the state of its module is that of the last invocation", async () => {
    const { runner, events } = await openGround();
    runner.deploy(define());
    const answers = [];
    for (let n = 0; n < 3; n += 1) answers.push(await runner.invoke({ functionName: act, payload: { do: "state" } }));
    expect(answers.map(({ payload }) => payload)).toMatchObject([
      { invocations: 1 },
      { invocations: 2 },
      { invocations: 3 },
    ]);
    const coldStarts = events.flatMap((event) => (event.kind === "started" ? [event.coldStart] : []));
    expect(coldStarts).toEqual([true, false, false]);
    expect(runner.environments()).toMatchObject([{ state: "frozen", invocations: 3, requestId: null }]);
  });

  it("is frozen between invocations: its timers do not run", async () => {
    const { runner } = await openGround();
    runner.deploy(define());
    const ticks = async (payload: object): Promise<number> =>
      ((await runner.invoke({ functionName: act, payload })).payload as { ticks: number }).ticks;
    await ticks({ do: "state" });
    await runner.invoke({ functionName: act, payload: { do: "sleep", ms: 300 } });
    const before = await ticks({ do: "state" });
    // The timer of 10 ms does run while an invocation lasts.
    expect(before).toBeGreaterThan(5);
    await sleep(600);
    expect((await ticks({ do: "state" })) - before).toBeLessThan(5);
  });

  it("serves one invocation at a time: as many invocations, as many processes", async () => {
    const { runner } = await openGround();
    runner.deploy(define());
    const run = () => runner.invoke({ functionName: act, payload: { do: "sleep", ms: 3_000 } });
    const answers = await Promise.all([run(), run(), run()]);
    expect(new Set(answers.map(({ payload }) => (payload as { pid: number }).pid)).size).toBe(3);
    expect(runner.environments()).toHaveLength(3);
  });

  it("that is free takes what another one is still starting for, and that one is kept warm", async () => {
    const { runner, events, folder } = await openGround();
    const entry = join(folder, "slow.mjs");
    const wait = "(ms) => new Promise((resolve) => setTimeout(resolve, ms))";
    const handler = "async ({ ms }) => { await wait(ms); return process.pid; }";
    writeFileSync(entry, `const wait = ${wait}; await wait(2_000); export const handler = ${handler};`);
    runner.deploy(define({ entry }));
    const run = async (ms: number) => (await runner.invoke({ functionName: act, payload: { ms } })).payload;
    const first = await run(0);
    expect(await Promise.all([run(100), run(0)])).toEqual([first, first]);
    await until(() => runner.environments().every(({ state }) => state === "frozen"));
    expect(runner.environments()).toMatchObject([{ invocations: 3 }, { invocations: 0 }]);
    const second = runner.environments().find(({ pid }) => pid !== first)?.pid;
    expect(await run(0)).toBe(second);
    expect(events.filter(({ kind }) => kind === "started")).toHaveLength(4);
  });

  it("is killed at the deadline, and another takes its place", async () => {
    const { runner, events } = await openGround();
    runner.deploy(define({ timeoutMs: 500 }));
    const late = await runner.invoke({ functionName: act, payload: { do: "sleep", ms: 30_000 } });
    expect(late.functionError).toBe("Unhandled");
    expect(late.payload).toEqual({
      errorType: "Sandbox.Timedout",
      errorMessage: `RequestId: ${late.requestId} Error: Task timed out after 0.50 seconds`,
    });
    const dead = events.flatMap((event) => (event.kind === "timedOut" ? [event.pid ?? 0] : []));
    expect(dead).toHaveLength(1);
    expect(dead.filter(isAlive)).toEqual([]);
    const next = await runner.invoke({ functionName: act, payload: { do: "state" } });
    expect(next.payload).toMatchObject({ invocations: 1 });
  });

  it("knows the time that remains", async () => {
    const { runner } = await openGround();
    runner.deploy(define({ timeoutMs: 10_000 }));
    const { payload } = await runner.invoke({ functionName: act, payload: { do: "remaining", ms: 200 } });
    const { before, after } = payload as { before: number; after: number };
    expect(before).toBeLessThanOrEqual(10_000);
    expect(before - after).toBeGreaterThanOrEqual(195);
  });

  it("has Lambda's context and environment, and nothing else of the runner's", async () => {
    const { runner } = await openGround();
    process.env.RUNNER_TEST_SECRET = "of the parent";
    runner.deploy(define({ env: { COLOUR: "blue" }, memoryMb: 256 }));
    const { payload, requestId } = await runner.invoke({
      functionName: act,
      qualifier: "1",
      payload: { do: "context" },
    });
    expect(payload).toMatchObject({
      awsRequestId: requestId,
      functionName: act,
      functionVersion: "1",
      invokedFunctionArn: "arn:aws:lambda:us-east-1:000000000000:function:act:1",
      memoryLimitInMB: "256",
      env: { COLOUR: "blue", AWS_ENDPOINT_URL_LAMBDA: runner.endpoint, AWS_LAMBDA_FUNCTION_NAME: act, TZ: "UTC" },
    });
    expect((payload as { env: object }).env).not.toHaveProperty("RUNNER_TEST_SECRET");
  });

  it("runs the version that is asked for, and the latest deployed by default", async () => {
    const { runner } = await openGround();
    for (const version of ["1", "2"]) runner.deploy(define({ version }));
    const versionOf = async (qualifier: string | null) =>
      (await runner.invoke({ functionName: act, qualifier, payload: { do: "context" } })).payload;
    expect(await versionOf("1")).toMatchObject({ functionVersion: "1" });
    expect(await versionOf("2")).toMatchObject({ functionVersion: "2" });
    expect(await versionOf(null)).toMatchObject({ functionVersion: "2" });
    await expect(versionOf("3")).rejects.toThrow(/ResourceNotFoundException: Function not found: .*:function:act:3/);
  });

  it("that runs a replaced deployment is not used again", async () => {
    const { runner } = await openGround();
    runner.deploy(define({ env: { COLOUR: "blue" } }));
    const colour = async () =>
      ((await runner.invoke({ functionName: act, payload: { do: "context" } })).payload as { env: object }).env;
    expect(await colour()).toMatchObject({ COLOUR: "blue" });
    runner.deploy(define({ env: { COLOUR: "red" } }));
    expect(await colour()).toMatchObject({ COLOUR: "red" });
    await until(() => runner.environments().length === 1);
  });

  it("is reaped when there are more than are kept warm", async () => {
    const { runner } = await openGround({ frozenMax: 2 });
    runner.deploy(define());
    const run = () => runner.invoke({ functionName: act, payload: { do: "sleep", ms: 500 } });
    await Promise.all([run(), run(), run()]);
    expect(runner.environments().filter(({ state }) => state === "frozen")).toHaveLength(2);
    await until(() => runner.environments().length === 2);
  });

  it("is reaped when it was idle for too long", async () => {
    const { runner } = await openGround({ idleMs: 300 });
    runner.deploy(define());
    await runner.invoke({ functionName: act, payload: { do: "state" } });
    expect(runner.environments()).toHaveLength(1);
    await until(() => runner.environments().length === 0);
  });

  it("makes room for another function, and where all are busy the caller is told", async () => {
    const { runner } = await openGround({ environmentsMax: 1 });
    runner.deploy(define({ name: "first" }));
    runner.deploy(define({ name: "second" }));
    await runner.invoke({ functionName: "first", payload: { do: "state" } });
    const busy = runner.invoke({ functionName: "second", payload: { do: "sleep", ms: 1_000 } });
    await until(() => runner.environments().some(({ state }) => state === "busy"));
    await expect(runner.invoke({ functionName: "first", payload: { do: "state" } })).rejects.toMatchObject({
      kind: "transient",
      message: expect.stringContaining("TooManyRequestsException"),
    });
    await busy;
  });

  it("prints lines that observers get, with their request", async () => {
    const { runner, events } = await openGround();
    runner.deploy(define());
    const { requestId } = await runner.invoke({ functionName: act, payload: { do: "print", lines: ["one", "two ä"] } });
    const logs = () => events.flatMap((event) => (event.kind === "log" ? [event] : []));
    await until(() => logs().length === 3);
    expect(logs().filter(({ stream }) => stream === "stdout")).toMatchObject([
      { line: "one", requestId },
      { line: "two ä", requestId },
    ]);
    expect(logs().filter(({ stream }) => stream === "stderr")).toMatchObject([{ line: "and this is an error" }]);
  });
});

describe("a failing function", () => {
  it.each([
    ["throws", { do: "throwing", message: "no" }, "TypeError", /^no$/],
    ["answers what is no JSON", { do: "circular" }, "TypeError", /circular/],
    [
      "exits",
      { do: "exit", code: 3 },
      "Runtime.ExitError",
      /^RequestId: .* Error: Runtime exited with error: exit status 3$/,
    ],
    ["exits with 0", { do: "exit", code: 0 }, "Runtime.ExitError", /Runtime exited without providing a reason$/],
    ["leaves a rejection unhandled", { do: "unhandled" }, "Runtime.UnhandledPromiseRejection", /nobody awaits this/],
    ["throws in a timer", { do: "uncaught" }, "RangeError", /^out of a timer$/],
  ])("that %s: the invocation fails, and the next one runs", async (_, payload, errorType, errorMessage) => {
    const { runner } = await openGround();
    runner.deploy(define());
    const failed = await runner.invoke({ functionName: act, payload });
    expect(failed.functionError).toBe("Unhandled");
    expect(failed.payload).toMatchObject({ errorType, errorMessage: expect.stringMatching(errorMessage) });
    const next = await runner.invoke({ functionName: act, payload: { do: "state" } });
    expect(next.functionError).toBeNull();
  });

  it.each([
    ["imports what is missing", 'import "./not-there.mjs";', "Runtime.ImportModuleError", /not-there/],
    ["is no JavaScript", "export const =", "Runtime.UserCodeSyntaxError", /Unexpected token/],
    ["throws while it is imported", 'throw new RangeError("at the top");', "RangeError", /at the top/],
    ["lacks its handler", "export const other = 1;", "Runtime.HandlerNotFound", /no exported function "handler"/],
    ["exits while it is imported", "process.exit(7);", "Runtime.ExitError", /exit status 7/],
  ])("that %s: the failed init is the invocation's error", async (_, source, errorType, errorMessage) => {
    const { runner, folder } = await openGround();
    const entry = join(folder, "entry.mjs");
    writeFileSync(entry, source);
    runner.deploy(define({ entry }));
    const { functionError, payload } = await runner.invoke({ functionName: act, payload: {} });
    expect(functionError).toBe("Unhandled");
    expect(payload).toMatchObject({ errorType, errorMessage: expect.stringMatching(errorMessage) });
  });

  it("whose import never ends is killed after the time for it", async () => {
    const { runner, folder } = await openGround({ initTimeoutMs: 600 });
    const entry = join(folder, "entry.mjs");
    writeFileSync(entry, "setInterval(() => {}, 1000); await new Promise(() => {});");
    runner.deploy(define({ entry }));
    const { payload } = await runner.invoke({ functionName: act, payload: {} });
    expect(payload).toMatchObject({ errorMessage: expect.stringContaining("Init phase timed out after 0.60 seconds") });
  });
});
