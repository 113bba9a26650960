import { InvalidArgumentError } from "commander";
import { describe, expect, it } from "vitest";
import { duration, port } from "../../lib/cli/arguments.js";
import { checkConfig } from "../../lib/cli/config.js";
import { isDrained, pipelineFailure, statusOf } from "../../lib/cli/dev/watch.js";
import { isLocal } from "../../lib/cli/endpoint.js";
import { defaultVariables, functionNames } from "../../lib/cli/environment.js";
import { exitCodes } from "../../lib/cli/exit-codes.js";
import { commandFailure } from "../../lib/cli/failures.js";
import { unlessInterrupted } from "../../lib/cli/interrupt.js";
import { bindingsOf } from "../../lib/compose.js";
import { StreamError } from "../../lib/model/errors.js";
import type { Head, Progress } from "../../lib/model/head.js";
import { checkpointId, generation, millis } from "../../lib/model/ids.js";

describe("an endpoint on this machine", () => {
  it.each([
    "http://127.0.0.1:4566",
    "http://localhost:4566/",
    "https://LOCALHOST",
    "http://127.9.8.7:1",
    "http://[::1]:4566",
    "http://0.0.0.0:4566",
  ])("is %s", (endpoint) => {
    expect(isLocal(endpoint)).toBe(true);
  });
  it.each([
    "https://kinesis.us-east-1.amazonaws.com",
    "http://localhost.example.com",
    "http://127.0.0.1.example.com:4566",
    "http://user@example.com?@localhost",
    "http://10.0.0.7:4566",
    "localhost:4566",
    "",
    null,
  ])("is not %j", (endpoint) => {
    expect(isLocal(endpoint)).toBe(false);
  });
});

describe("variables for the SDK", () => {
  const local = { endpoint: "http://127.0.0.1:4566", local: true };
  it("on a local endpoint are filled where they are missing", () => {
    expect(defaultVariables(local, {}, {})).toEqual({
      AWS_ENDPOINT_URL: "http://127.0.0.1:4566",
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "tidemark",
      AWS_SECRET_ACCESS_KEY: "tidemark",
    });
    const own = { AWS_DEFAULT_REGION: "eu-west-1", AWS_ACCESS_KEY_ID: "mine", AWS_SECRET_ACCESS_KEY: "too" };
    expect(defaultVariables(local, { region: "eu-west-3" }, own)).toMatchObject({
      AWS_REGION: "eu-west-1",
      AWS_ACCESS_KEY_ID: "mine",
      AWS_SECRET_ACCESS_KEY: "too",
    });
  });
  it("on an account are the SDK's business: no credentials are made up", () => {
    expect(defaultVariables({ endpoint: null, local: false }, {}, {})).toEqual({});
    expect(defaultVariables({ endpoint: null, local: false }, { region: "eu-west-3" }, {})).toEqual({
      AWS_REGION: "eu-west-3",
    });
  });
});

describe("names", () => {
  it("that are bound are others, all others their own, and __proto__ is one of them", () => {
    const bindings = bindingsOf({ streams: { flights: "acme-flights" }, tables: { toString: "t" } });
    expect(bindings.stream("flights")).toBe("acme-flights");
    expect(bindings.table("flights")).toBe("flights");
    expect(bindings.table("toString")).toBe("t");
    for (const name of ["__proto__", "constructor", "toString"]) expect(bindings.stream(name)).toBe(name);
  });
  it("of functions are what Lambda takes", () => {
    const { task, supervisor } = functionNames(`a.b ${"x".repeat(80)}`);
    for (const name of [task, supervisor]) expect(name).toMatch(/^a_b_x+-(task|supervisor)$/);
    expect(Math.max(task.length, supervisor.length)).toBeLessThanOrEqual(64);
  });
});

describe("tidemark.config.ts", () => {
  it("may have every member, or none", () => {
    const config = { table: "t", bucket: "b", region: "r", bindings: { streams: { a: "b" }, tables: {}, buckets: {} } };
    expect(checkConfig("c.ts", config)).toBe(config);
    expect(checkConfig("c.ts", {})).toEqual({});
  });
  it.each([
    [null, "c.ts must be an object with table, bucket, region, bindings"],
    [[], "c.ts must be an object"],
    ["x", "c.ts must be an object"],
    [{ bindings: [] }, 'c.ts: "bindings" must be an object with streams, tables, buckets'],
    [{ bindings: { streams: { a: null } } }, 'c.ts: "bindings.streams", "a" must be a name'],
    [{ bindings: { streams: { a: undefined } } }, 'c.ts: "bindings.streams", "a" must be a name'],
    [{ region: 1 }, 'c.ts: "region" must be a name'],
  ])("is refused where it is %j", (config, message) => {
    expect(() => checkConfig("c.ts", config)).toThrow(message);
  });
});

describe("arguments", () => {
  it("are durations up to a limit, and ports", () => {
    expect(duration()("1.5s")).toBe(1_500);
    expect(duration(900_000)("15m")).toBe(900_000);
    expect(port("0")).toBe(0);
    expect(port("65535")).toBe(65_535);
  });
  it.each(["", "5", "-1s", "0s", "1d", "NaNs", "1e3s"])("%j is no duration", (text) => {
    expect(() => duration()(text)).toThrow(InvalidArgumentError);
  });
  it("longer ones than there are, are wrong usage", () => {
    expect(() => duration(900_000)("15.1m")).toThrow(InvalidArgumentError);
  });
  it.each(["", "-1", "65536", "1.5", " 1", "0x10", "http"])("%j is no port", (text) => {
    expect(() => port(text)).toThrow(InvalidArgumentError);
  });
});

describe("failures of a command", () => {
  it("have an exit code by kind, of which no two that a script tells apart are the same", () => {
    expect(exitCodes).toEqual({ invalid: 1, transient: 3, ambiguous: 3, fenced: 3, corrupt: 4, bug: 70 });
  });
  it("are invalid where the file system refuses, bugs where nobody foresaw them, else what they are", () => {
    const refused = Object.assign(new Error("EACCES: permission denied, mkdir '/x'"), { code: "EACCES" });
    expect(commandFailure(refused)).toMatchObject({ kind: "invalid", message: expect.stringContaining("'/x'; check") });
    expect(commandFailure(new TypeError("x is not a function"))).toMatchObject({ kind: "bug" });
    const own = new StreamError("corrupt", "gone");
    expect(commandFailure(own)).toBe(own);
  });

  const cause = { generation: generation(1), at: millis(0), task: null, checkpointId: checkpointId(3) };
  const completed = { generation: generation(1), checkpointId: checkpointId(3), sha256: "x" as never };
  it.each([
    ["invalid", "invalid"],
    ["died", "invalid"],
    ["deadline", "invalid"],
    ["aborts", "invalid"],
    ["corrupt", "corrupt"],
    ["transient", "transient"],
    ["bug", "bug"],
  ])("of a pipeline whose last one was %s are %s, with its cause and what stands", (kind, expected) => {
    const failures = [
      { ...cause, kind: "transient", message: "first" },
      { ...cause, kind, message: "last" },
    ];
    const failure = pipelineFailure("p", { failures, completed });
    expect(failure.kind).toBe(expected);
    expect(failure.message).toMatch(/^pipeline "p" failed: last\nCheckpoint 3 stands: /);
    expect(pipelineFailure("p", { failures, completed: null }).message).toContain("No checkpoint was complete yet");
  });
});

describe("drained", () => {
  const head = { generation: generation(2), status: "running" } as Head;
  const progress = { generation: generation(2), idleSince: millis(5) } as Progress;
  const drained = { head, progress, tasks: 1, run: "ours" } as const;
  it("is a pipeline of ours that runs and has nothing left to read", () => {
    expect(isDrained(drained)).toBe(true);
  });
  it("or one of ours that sleeps, though its sessions are gone", () => {
    const asleep = { ...drained, head: { ...head, status: "suspended" as const }, progress: null };
    expect(isDrained(asleep)).toBe(true);
    expect(isDrained({ ...asleep, run: "starting" })).toBe(false);
  });
  it.each([
    ["before its generation is open", { run: "starting" as const }],
    ["while the progress is that of the generation before", { progress: { ...progress, generation: generation(1) } }],
    ["while it reads", { progress: { ...progress, idleSince: null } }],
    ["while nothing is known", { progress: null }],
    ["while it stops already", { head: { ...head, status: "stopping" as const } }],
  ])("it is not %s", (_, changes) => {
    expect(isDrained({ ...drained, ...changes })).toBe(false);
  });
});

describe("the status of a pipeline that sleeps and wakes", () => {
  const at = (generationNumber: number, status: Head["status"]) => {
    const head = {
      generation: generation(generationNumber),
      status,
      completed: null,
      nextCheckpointId: 4,
    } as unknown as Head;
    return { head, progress: null, tasks: 1, run: "ours" as const };
  };

  it("is suspended and idle, and waking is no restart; a failure is one", () => {
    const status = statusOf();
    const seen = [
      at(3, "running"),
      at(3, "suspended"),
      at(3, "suspended"),
      at(4, "running"),
      at(4, "suspended"),
      at(5, "running"),
      at(6, "running"),
    ].map((view) => status(view));
    expect(seen.map(({ status: found, idle }) => [found, idle])).toEqual([
      ["running", false],
      ["suspended", true],
      ["suspended", true],
      ["running", false],
      ["suspended", true],
      ["running", false],
      ["running", false],
    ]);
    expect(seen.map(({ restarts }) => restarts)).toEqual([0, 0, 0, 0, 0, 0, 1]);
  });

  it("counts a waking and the failure after it as one restart, where nobody looked between them", () => {
    const status = statusOf();
    const seen = [at(3, "running"), at(3, "suspended"), at(5, "running")].map((view) => status(view));
    expect(seen.at(-1)?.restarts).toBe(1);
  });
});

describe("work that may be interrupted", () => {
  it("gives its outcome, or its failure", async () => {
    const { signal } = new AbortController();
    expect(await unlessInterrupted(signal, Promise.resolve(7))).toBe(7);
    await expect(unlessInterrupted(signal, Promise.reject(new Error("no")))).rejects.toThrow("no");
  });
  it("gives null at the interrupt, and where it failed just before: the same Ctrl-C ended what it needs", async () => {
    const interrupt = new AbortController();
    const endless = unlessInterrupted(interrupt.signal, new Promise(() => undefined));
    const failing = unlessInterrupted(interrupt.signal, Promise.reject(new Error("its child was ended")));
    await Promise.resolve();
    interrupt.abort();
    expect(await endless).toBeNull();
    expect(await failing).toBeNull();
    expect(await unlessInterrupted(interrupt.signal, Promise.resolve(7))).toBeNull();
  });
});
