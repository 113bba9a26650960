import { join } from "node:path";
import { InvokeCommand, type InvokeCommandInput, LambdaClient } from "@aws-sdk/client-lambda";
import { describe, expect, it, onTestFinished } from "vitest";
import { define, linesOf, openGround } from "./runner/fixture.js";

async function openClient(options: Parameters<typeof openGround>[0] = {}) {
  const ground = await openGround(options);
  const credentials = { accessKeyId: "local", secretAccessKey: "local" };
  const client = new LambdaClient({
    endpoint: ground.runner.endpoint,
    region: "us-east-1",
    credentials,
    maxAttempts: 1,
  });
  onTestFinished(() => client.destroy());
  const invoke = async (input: Omit<InvokeCommandInput, "Payload">, payload?: unknown) => {
    const body = payload === undefined ? {} : { Payload: JSON.stringify(payload) };
    const answer = await client.send(new InvokeCommand({ ...input, ...body }));
    const text = answer.Payload?.transformToString() ?? "";
    return { ...answer, payload: text === "" ? undefined : JSON.parse(text) };
  };
  return { ...ground, client, invoke };
}

describe("the Invoke API, with the stock client", () => {
  it("runs a function by name, name:qualifier and ARN", async () => {
    const { runner, invoke } = await openClient();
    for (const version of ["1", "2"]) runner.deploy(define({ version }));
    const arn = "arn:aws:lambda:us-east-1:000000000000:function:act";
    const versions = [];
    for (const [FunctionName, Qualifier] of [
      ["act"],
      ["act", "1"],
      ["act:1"],
      [arn],
      [`${arn}:1`],
      ["act", "$LATEST"],
    ]) {
      const input = { FunctionName, ...(Qualifier === undefined ? {} : { Qualifier }) };
      const answer = await invoke(input, { do: "context" });
      expect(answer.StatusCode).toBe(200);
      expect(answer.$metadata.requestId).toBe(answer.payload.awsRequestId);
      expect(answer.payload.functionVersion).toBe(answer.ExecutedVersion);
      versions.push(answer.ExecutedVersion);
    }
    expect(versions).toEqual(["2", "1", "1", "2", "1", "2"]);
  });

  it("tells an error of the function in FunctionError, with status 200", async () => {
    const { runner, invoke } = await openClient();
    runner.deploy(define());
    const answer = await invoke({ FunctionName: "act" }, { do: "throwing", message: "no" });
    expect(answer).toMatchObject({ StatusCode: 200, FunctionError: "Unhandled", ExecutedVersion: "1" });
    expect(answer.payload).toMatchObject({ errorType: "TypeError", errorMessage: "no" });
  });

  it("accepts an event with 202, and permits a dry run with 204", async () => {
    const { runner, invoke, folder } = await openClient();
    const file = join(folder, "lines");
    runner.deploy(define());
    const dry = await invoke({ FunctionName: "act", InvocationType: "DryRun" }, { do: "record", file });
    expect(dry.StatusCode).toBe(204);
    const answer = await invoke({ FunctionName: "act", InvocationType: "Event" }, { do: "record", file });
    expect(answer.StatusCode).toBe(202);
    await runner.idle();
    expect(linesOf(file)).toMatchObject([{ requestId: answer.$metadata.requestId }]);
  });

  it("gives an empty object to a function that is invoked without payload", async () => {
    const { runner, invoke } = await openClient();
    runner.deploy(define());
    const { payload } = await invoke({ FunctionName: "act" });
    // acts[undefined] is no function: the event was an object all the same.
    expect(payload).toMatchObject({ errorType: "TypeError", errorMessage: expect.stringContaining("not a function") });
  });

  it.each([
    ["an unknown function", { FunctionName: "nobody" }, {}, "ResourceNotFoundException", 404],
    ["an unknown version", { FunctionName: "act", Qualifier: "9" }, {}, "ResourceNotFoundException", 404],
    ["two qualifiers", { FunctionName: "act:1", Qualifier: "2" }, {}, "InvalidParameterValueException", 400],
    [
      "an event that is too large",
      { FunctionName: "act", InvocationType: "Event" },
      "x".repeat(1_048_577),
      "RequestTooLargeException",
      413,
    ],
    ["a request that is too large", { FunctionName: "act" }, "x".repeat(6_291_457), "RequestTooLargeException", 413],
  ] as const)("refuses %s", async (_, input, payload, name, status) => {
    const { runner, invoke } = await openClient();
    runner.deploy(define());
    await expect(invoke(input, payload)).rejects.toMatchObject({ name, $metadata: { httpStatusCode: status } });
    expect(runner.environments()).toEqual([]);
  });

  it("refuses what is no JSON", async () => {
    const { runner, client } = await openClient();
    runner.deploy(define());
    const bad = client.send(new InvokeCommand({ FunctionName: "act", Payload: "{" }));
    await expect(bad).rejects.toMatchObject({ name: "InvalidRequestContentException" });
  });

  it("tells a synchronous caller that everything is busy", async () => {
    const { runner, invoke } = await openClient({ environmentsMax: 1 });
    runner.deploy(define());
    const busy = runner.invoke({ functionName: "act", payload: { do: "sleep", ms: 1_500 } });
    await expect(invoke({ FunctionName: "act" }, { do: "state" })).rejects.toMatchObject({
      name: "TooManyRequestsException",
      $metadata: { httpStatusCode: 429 },
    });
    await busy;
  });

  it("serves functions themselves: each session hands over to the next", async () => {
    const { runner, folder, events } = await openClient();
    const file = join(folder, "chain");
    runner.deploy(define());
    runner.send({ functionName: "act", payload: { do: "chain", file, left: 4 } });
    await runner.idle();
    expect(events.filter(({ kind }) => kind === "failed")).toEqual([]);
    const lines = linesOf(file);
    expect(lines.map(({ left }) => left)).toEqual([4, 3, 2, 1, 0]);
    expect(new Set(lines.map(({ requestId }) => requestId)).size).toBe(5);
  });
});
