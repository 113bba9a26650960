import assert from "node:assert/strict";
import type { Invocation, SupervisorCall } from "../../model/head.js";
import { generation, taskId } from "../../model/ids.js";
import type { Functions } from "../../ports/functions.js";
import type { Test } from "./suite.js";

export type Arrived =
  | { readonly kind: "task"; readonly functionVersion: string; readonly payload: unknown }
  | { readonly kind: "supervisor"; readonly payload: unknown };

export interface OpenFunctions {
  readonly functions: Functions;
  /** Versions of the task's function that can be invoked. */
  readonly versions: readonly [string, string];
  /** Resolves when `wanted` is true of what has arrived so far; rejects where that takes too long. */
  arrived(wanted: (arrived: readonly Arrived[]) => boolean): Promise<readonly Arrived[]>;
}

const invocation = (leaseVersion: number): Invocation => ({
  pipeline: "flight-delays é\u{1f600}",
  incarnation: "0a0b0c0d0e0f",
  generation: generation(3),
  task: taskId(0, 1),
  leaseVersion,
});

/** What every implementation of Functions must do. `open` gives one that nothing has arrived at, for each test. */
export function functionsConformance(test: Test, open: () => Promise<OpenFunctions>): void {
  test("P4 an invocation of a task arrives at least once, at its version, with its payload", async () => {
    const { functions, versions, arrived } = await open();
    const sent = versions.flatMap((functionVersion, index) =>
      [1, 2].map((n) => ({ functionVersion, payload: invocation(10 * index + n) })),
    );
    for (const { functionVersion, payload } of sent) await functions.invokeTask(functionVersion, payload);
    const expected = sent.map((each) => JSON.stringify({ kind: "task", ...each }));
    const all = await arrived((found) => {
      const texts = new Set(found.map(textOf));
      return expected.every((text) => texts.has(text));
    });
    assert.deepEqual(new Set(all.map(textOf)), new Set(expected), "something arrived that was not sent");
  });

  test("a call of the supervisor arrives, with a report and without", async () => {
    const { functions, arrived } = await open();
    const calls: readonly SupervisorCall[] = [
      { pipeline: "p", report: null },
      { pipeline: "p", report: { invocation: invocation(7), kind: "Error", message: 'it said "no"\n' } },
    ];
    for (const call of calls) await functions.callSupervisor(call);
    const expected = calls.map((payload) => JSON.stringify({ kind: "supervisor", payload }));
    const all = await arrived((found) => {
      const texts = new Set(found.map(textOf));
      return expected.every((text) => texts.has(text));
    });
    assert.deepEqual(new Set(all.map(textOf)), new Set(expected));
  });
}

const textOf = (arrived: Arrived): string =>
  arrived.kind === "task"
    ? JSON.stringify({ kind: arrived.kind, functionVersion: arrived.functionVersion, payload: arrived.payload })
    : JSON.stringify({ kind: arrived.kind, payload: arrived.payload });
