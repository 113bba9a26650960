// Functions on LocalStack run in processes that we start ourselves: here they do what Lambda does, as far as deployments need it.
import { setTimeout as sleep } from "node:timers/promises";
import {
  CreateAliasCommand,
  LambdaClient,
  PutFunctionEventInvokeConfigCommand,
  PutFunctionRecursionConfigCommand,
} from "@aws-sdk/client-lambda";
import { afterAll, beforeAll, describe, expect, inject, it, test } from "vitest";
import { lambdaFunctions } from "../../lib/connectors/lambda-functions.js";
import { type Arrived, functionsConformance } from "../../lib/testing/conformance/functions.js";
import { call, codeOf, createFunction, publish, type Recorder, send, startRecorder } from "./functions/recording.js";
import { scheduleEachMinute } from "./functions/schedule.js";
import { openCloud } from "./resources.js";

const { kind } = inject("cloud");

// The embedded cloud has no Lambda, and on AWS a function would need a role, and a way back to this machine.
describe.skipIf(kind !== "localstack")("functions on LocalStack", () => {
  let lambda: LambdaClient;
  let recorder: Recorder;
  let codes: Readonly<Record<"first" | "second", Buffer>>;
  let scheduled: string;
  const cloud = openCloud();

  const newFunction = async (timeoutSeconds = 30) => {
    const name = cloud.fresh("function");
    const arn = await createFunction(lambda, {
      name,
      code: codes.first,
      timeoutSeconds,
      env: { RECORDER: recorder.url, NAME: name },
    });
    return { name, arn };
  };

  beforeAll(async () => {
    const credentials = { accessKeyId: "test", secretAccessKey: "test" };
    lambda = new LambdaClient({ endpoint: cloud.endpoint ?? "", region: cloud.region, credentials });
    recorder = await startRecorder();
    const [first, second] = await Promise.all([codeOf("first"), codeOf("second")]);
    codes = { first, second };
    // Its minute passes while the other tests run.
    const { name, arn } = await newFunction();
    await scheduleEachMinute({ endpoint: cloud.endpoint ?? "", lambda, rule: name, function: { name, arn } });
    scheduled = name;
  });
  afterAll(() => {
    recorder.close();
    lambda.destroy();
    cloud.clients.destroy();
  });

  it("an invocation is answered, with its log and with the time that it has", async () => {
    const { name } = await newFunction(7);
    const answer = await call(lambda, name, { do: "answer", name: "ü\u{1f600}" });
    expect(answer).toMatchObject({ error: undefined, version: "$LATEST" });
    expect(answer.payload).toMatchObject({ functionVersion: "$LATEST", payload: { name: "ü\u{1f600}" } });
    expect(answer.payload.remaining).toBeGreaterThan(0);
    expect(answer.payload.remaining).toBeLessThanOrEqual(7_000);
    expect(answer.log).toMatch(/START RequestId: (.*) Version: \$LATEST\nasked to answer\n(.|\n)*REPORT RequestId: \1/);
  });

  it("an error is told with its name", async () => {
    const { name } = await newFunction();
    const answer = await call(lambda, name, { do: "throw" });
    expect(answer.error).toBe("Unhandled");
    expect(answer.payload).toMatchObject({ errorType: "TypeError", errorMessage: "as it was asked to" });
  });

  it("a process is used again, and stands still between invocations", async () => {
    const { name } = await newFunction();
    const first = await call(lambda, name, { do: "answer" });
    const before = await call(lambda, name, { do: "answer" });
    await sleep(1_000);
    const after = await call(lambda, name, { do: "answer" });
    expect(after.payload.pid).toBe(first.payload.pid);
    // A process that ran would have ticked two hundred times.
    expect(Number(after.payload.ticks) - Number(before.payload.ticks)).toBeLessThan(50);
  });

  it("a process that exits, or is killed while it works or while it rests, is replaced", async () => {
    const { name } = await newFunction();
    const exited = await call(lambda, name, { do: "exit" });
    expect(exited.payload).toMatchObject({ errorType: "Runtime.ExitError" });
    expect(exited.payload.errorMessage).toContain("exit status 3");

    const working = call(lambda, name, { do: "hang", name: "to be killed" });
    const isThis = (payload: unknown) => (payload as { name?: string }).name === "to be killed";
    const { pid } = await recorder.told((told) => told.functionName === name && isThis(told.payload));
    process.kill(pid, "SIGKILL");
    const killed = await working;
    expect(killed).toMatchObject({ error: "Unhandled", payload: { errorType: "Runtime.ExitError" } });
    expect(killed.payload.errorMessage).toContain("SIGKILL");

    const resting = await call(lambda, name, { do: "answer" });
    process.kill(Number(resting.payload.pid), "SIGKILL");
    const next = await call(lambda, name, { do: "answer" });
    expect(next).toMatchObject({ error: undefined, payload: { code: "first" } });
    expect(new Set([pid, resting.payload.pid, next.payload.pid]).size).toBe(3);
  });

  it("P4 a version keeps its code, and is invoked by its number", async () => {
    const { name } = await newFunction();
    const one = await publish(lambda, name);
    const two = await publish(lambda, name, codes.second);
    expect([one, two]).toEqual(["1", "2"]);
    for (const [version, code] of [
      [one, "first"],
      [two, "second"],
    ] as const) {
      const answer = await call(lambda, name, { do: "answer" }, version);
      expect(answer).toMatchObject({ version, payload: { code, functionVersion: version } });
      await send(lambda, name, { name: `to ${version}` }, version);
      const isThis = (payload: unknown) => (payload as { name?: string }).name === `to ${version}`;
      const told = await recorder.told((each) => each.functionName === name && isThis(each.payload));
      expect(told).toMatchObject({ code, functionVersion: version });
    }
  });

  it("a function invokes itself, asynchronously and by its version", async () => {
    const { name } = await newFunction();
    await lambda.send(new PutFunctionRecursionConfigCommand({ FunctionName: name, RecursiveLoop: "Allow" }));
    const version = await publish(lambda, name);
    expect((await call(lambda, name, { do: "invoke", name: "once" }, version)).error).toBeUndefined();
    const told = await recorder.told(({ payload }) => (payload as { name?: string }).name === "once again");
    expect(told).toMatchObject({ functionName: name, functionVersion: version });
  });

  it("R4 a time-out of an asynchronous invocation comes to its failure destination, whether a version or an alias was invoked", async () => {
    const [supervisor, { name }] = [await newFunction(), await newFunction(2)];
    const version = await publish(lambda, name);
    const alias = { FunctionName: name, Name: "live", FunctionVersion: version };
    await lambda.send(new CreateAliasCommand(alias));
    // The alias first, while its version has no settings.
    for (const Qualifier of ["live", version]) {
      const Destination = `${supervisor.arn}`;
      await lambda.send(
        new PutFunctionEventInvokeConfigCommand({
          FunctionName: name,
          Qualifier,
          MaximumRetryAttempts: 0,
          MaximumEventAgeInSeconds: 60,
          DestinationConfig: { OnFailure: { Destination } },
        }),
      );
      await send(lambda, name, { do: "hang", name: `by ${Qualifier}` }, Qualifier);
      const told = await recorder.told(
        ({ functionName, payload }) =>
          functionName === supervisor.name && JSON.stringify(payload).includes(`by ${Qualifier}`),
      );
      expect(told.payload).toMatchObject({
        requestContext: { condition: "RetriesExhausted", approximateInvokeCount: 1 },
        requestPayload: { do: "hang", name: `by ${Qualifier}` },
        responseContext: { functionError: "Unhandled", executedVersion: version },
        responsePayload: { errorType: "Sandbox.Timedout" },
      });
    }
    const attempts = recorder.all().filter(({ functionName }) => functionName === name);
    expect(attempts).toHaveLength(2);
  });

  it("twelve sessions of a version run side by side", async () => {
    const { name } = await newFunction();
    const version = await publish(lambda, name);
    const numbers = Array.from({ length: 12 }, (_, n) => `side ${n}`);
    await Promise.all(numbers.map((each) => send(lambda, name, { do: "hang", name: each }, version)));
    const all = await Promise.all(
      numbers.map((each) => recorder.told(({ payload }) => (payload as { name?: string }).name === each)),
    );
    const pids = all.map(({ pid }) => pid);
    expect(new Set(pids).size).toBe(12);
    // None has made room for another: all run at this moment.
    for (const pid of pids) expect(process.kill(pid, "SIGKILL")).toBe(true);
  });

  it("a schedule invokes a function each minute", async () => {
    const told = await recorder.told(({ functionName }) => functionName === scheduled);
    expect(told.payload).toMatchObject({ tick: "tock" });
  });

  describe("as a port", () => {
    functionsConformance(test, async () => {
      const [task, supervisor] = [await newFunction(), await newFunction()];
      const versions = [await publish(lambda, task.name), await publish(lambda, task.name, codes.second)] as const;
      const names = { task: task.name, supervisor: supervisor.name };
      const arrivedOf = () =>
        recorder.all().flatMap(({ functionName, functionVersion, payload }): readonly Arrived[] => {
          if (functionName === supervisor.name) return [{ kind: "supervisor", payload }];
          return functionName === task.name ? [{ kind: "task", functionVersion, payload }] : [];
        });
      return {
        functions: lambdaFunctions(lambda, names),
        versions,
        async arrived(wanted) {
          await recorder.told(() => wanted(arrivedOf()));
          return arrivedOf();
        },
      };
    });
  });
});
