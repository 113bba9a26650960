import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { define, type Ground, isAlive, linesOf, openGround, until } from "./runner/fixture.js";

const act = "act";

/** A function with the on-failure destination `rescue`, and what that was told. */
async function withDestination(retries: 0 | 1 | 2, options: Parameters<typeof openGround>[0] = {}) {
  const ground = await openGround(options);
  const file = join(ground.folder, "destination");
  const asyncConfig = { retries, onFailure: { functionName: "rescue" } };
  ground.runner.deploy(define({ asyncConfig, timeoutMs: 1_000 }));
  ground.runner.deploy(define({ name: "rescue", handler: "destination", env: { DESTINATION_FILE: file } }));
  return { ...ground, records: () => linesOf(file) };
}

function outcomes({ events }: Pick<Ground, "events">): readonly string[] {
  const ends = new Set(["finished", "failed", "killed", "timedOut", "dropped"]);
  return events.filter(({ kind }) => ends.has(kind)).map(({ kind }) => kind);
}

describe("an event", () => {
  it("is accepted at once, and delivered", async () => {
    const { runner, folder } = await openGround();
    const file = join(folder, "lines");
    runner.deploy(define());
    const { requestId } = runner.send({ functionName: act, payload: { do: "record", file, n: 1 } });
    expect(linesOf(file)).toEqual([]);
    await runner.idle();
    expect(linesOf(file)).toMatchObject([{ requestId, n: 1 }]);
  });

  it("that fails is tried again under the same request id, in the same environment", async () => {
    const ground = await openGround();
    const { runner, folder, events } = ground;
    const file = join(folder, "attempts");
    runner.deploy(define({ asyncConfig: { retries: 2 } }));
    const { requestId } = runner.send({ functionName: act, payload: { do: "failing", file, times: 2 } });
    await runner.idle();
    expect(outcomes(ground)).toEqual(["failed", "failed", "finished"]);
    const started = events.flatMap((event) => (event.kind === "started" ? [event] : []));
    expect(started.map((event) => event.requestId)).toEqual([requestId, requestId, requestId]);
    expect(new Set(started.map(({ pid }) => pid)).size).toBe(1);
  });

  it("whose retries are exhausted goes to the failure destination, in Lambda's form", async () => {
    const ground = await withDestination(1);
    const payload = { do: "throwing", message: "always" };
    const { requestId } = ground.runner.send({ functionName: act, payload });
    await ground.runner.idle();
    expect(outcomes(ground)).toEqual(["failed", "failed", "dropped", "finished"]);
    const [told, ...more] = ground.records();
    expect(more).toEqual([]);
    expect(told?.requestId).not.toBe(requestId);
    expect(told?.event).toEqual({
      version: "1.0",
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      requestContext: {
        requestId,
        functionArn: "arn:aws:lambda:us-east-1:000000000000:function:act:$LATEST",
        condition: "RetriesExhausted",
        approximateInvokeCount: 2,
      },
      requestPayload: payload,
      responseContext: { statusCode: 200, executedVersion: "1", functionError: "Unhandled" },
      responsePayload: { errorType: "TypeError", errorMessage: "always", trace: expect.any(Array) },
    });
  });

  it.each([
    ["exits", { do: "exit", code: 4 }, "failed", /Runtime exited with error: exit status 4$/],
    ["reaches its deadline", { do: "sleep", ms: 30_000 }, "timedOut", /Task timed out after 1.00 seconds$/],
  ])("whose process %s has failed", async (_, payload, kind, errorMessage) => {
    const ground = await withDestination(0);
    ground.runner.send({ functionName: act, payload });
    await ground.runner.idle();
    expect(outcomes(ground)).toEqual([kind, "dropped", "finished"]);
    expect(ground.records()).toMatchObject([
      { event: { responsePayload: { errorMessage: expect.stringMatching(errorMessage) } } },
    ]);
  });

  it("whose process is killed in the middle has failed, and is tried again", async () => {
    const ground = await withDestination(1);
    const { runner, events } = ground;
    expect(runner.kill({ random: () => 0 })).toBeNull();
    runner.send({ functionName: act, payload: { do: "sleep", ms: 30_000 } });
    const startedTimes = () => events.filter(({ kind }) => kind === "started").length;
    const killed: (number | null)[] = [];
    for (const times of [1, 2]) {
      await until(() => startedTimes() === times);
      killed.push(runner.kill({ functionName: act, random: () => 0.99 }));
    }
    await runner.idle();
    expect(new Set(killed).size).toBe(2);
    for (const pid of killed) expect(isAlive(pid ?? 0)).toBe(false);
    expect(outcomes(ground)).toEqual(["killed", "killed", "dropped", "finished"]);
    const errorMessage = expect.stringMatching(/^RequestId: .* Error: Runtime exited with error: signal: killed$/);
    expect(ground.records()).toMatchObject([
      { event: { responsePayload: { errorType: "Runtime.ExitError", errorMessage } } },
    ]);
  });

  it("that becomes too old is given up with retries left", async () => {
    const { runner, folder, events } = await openGround({ retryDelayMs: 600 });
    const file = join(folder, "destination");
    const onFailure = { functionName: "arn:aws:lambda:us-east-1:000000000000:function:rescue:7" };
    runner.deploy(define({ asyncConfig: { retries: 2, maxAgeMs: 1_200, onFailure } }));
    const env = { DESTINATION_FILE: file };
    runner.deploy(define({ name: "rescue", version: "7", handler: "destination", env }));
    // Warm, so that the start of a process does not count.
    await runner.invoke({ functionName: act, payload: { do: "state" } });
    // 600 ms before the first retry and 1,200 ms before the second.
    runner.send({ functionName: act, payload: { do: "throwing", message: "always" } });
    await runner.idle();
    expect(linesOf(file)).toMatchObject([
      { event: { requestContext: { condition: "EventAgeExceeded", approximateInvokeCount: 2 } } },
    ]);
    expect(events.find(({ kind }) => kind === "dropped")).toMatchObject({ attempts: 2, functionName: act });
  });

  it("waits where all environments are busy, and no attempt is counted for it", async () => {
    const { runner, folder } = await openGround({ environmentsMax: 2 });
    const file = join(folder, "lines");
    runner.deploy(define());
    const numbers = [0, 1, 2, 3, 4, 5, 6, 7];
    for (const n of numbers) runner.send({ functionName: act, payload: { do: "record", file, n } });
    await runner.idle();
    const lines = linesOf(file);
    expect(lines.map(({ n }) => n).sort()).toEqual(numbers);
    expect(new Set(lines.map(({ pid }) => pid)).size).toBeLessThanOrEqual(2);
  });

  it("is delivered twice on purpose, the same way for the same seed", async () => {
    const run = async (seed: number) => {
      const { runner, folder } = await openGround({ duplicateEvents: 0.5, seed });
      const file = join(folder, "lines");
      runner.deploy(define());
      for (let n = 0; n < 12; n += 1) {
        runner.send({ functionName: act, payload: { do: "record", file, n } });
        await runner.idle();
      }
      const lines = linesOf(file);
      // Both deliveries of an event have its request id.
      const requests = new Set(lines.map(({ requestId, n }) => `${requestId} ${n}`));
      expect(requests.size).toBe(12);
      return lines.map(({ n }) => n);
    };
    const first = await run(7);
    expect(first.length).toBeGreaterThan(12);
    expect(first.length).toBeLessThan(24);
    expect(await run(7)).toEqual(first);
    expect(await run(8)).not.toEqual(first);
  });
});

describe("a schedule", () => {
  it("sends an event at each tick, leaves out those at which the last still runs, and stops", async () => {
    const ground = await openGround();
    const { runner, events } = ground;
    runner.deploy(define());
    // Warm, so that the start of a process does not count.
    await runner.invoke({ functionName: act, payload: { do: "state" } });
    const stop = runner.every(50, act, { do: "sleep", ms: 300 });
    await until(() => outcomes(ground).length >= 4);
    stop();
    await runner.idle();
    const finished = outcomes(ground).length;
    await sleep(200);
    expect(outcomes(ground).length).toBe(finished);
    // Never two at a time: one process did it all.
    expect(new Set(events.flatMap((event) => (event.kind === "started" ? [event.pid] : []))).size).toBe(1);
  });
});
