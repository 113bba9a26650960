import { pipeline } from "tidemark";
import type { PipelineOptions } from "../../lib/pipeline/options.js";
import type { Flow } from "../../lib/pipeline/stream.js";
import { Calls } from "../../lib/runtime/calls.js";
import { keptOutputs } from "../../lib/runtime/outputs.js";
import { wholePlan } from "../../lib/runtime/part.js";
import { Task } from "../../lib/runtime/task.js";
import { virtualClock } from "./runtime-world.js";

/** One call of a `mapAsync` that is to be answered. */
export interface OpenCall {
  readonly value: unknown;
  readonly signal: AbortSignal;
  answer(value: unknown): void;
  fail(error: unknown): void;
}

/** Calls that the test answers, in the order of their making. */
export function desk() {
  const made: OpenCall[] = [];
  const open = new Set<OpenCall>();
  let most = 0;
  const call = (value: unknown, signal: AbortSignal): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const end = (how: (what: unknown) => void) => (what: unknown) => {
        open.delete(one);
        how(what);
      };
      const one: OpenCall = { value, signal, answer: end(resolve), fail: end(reject) };
      made.push(one);
      open.add(one);
      most = Math.max(most, open.size);
    });
  const at = (value: unknown): OpenCall => {
    const found = [...open].find((one) => one.value === value);
    if (found === undefined) throw new Error(`nobody asks for ${String(value)}`);
    return found;
  };
  return {
    call,
    made: () => made.map(({ value }) => value),
    open: () => [...open].map(({ value }) => value),
    all: made,
    at,
    /** The most calls that were under way at a time. */
    most: () => most,
  };
}

/** A task with a clock, whose calls are made. `settle` lets answers come, and takes them on. */
export function asyncTask(build: (flow: Flow) => void, options: PipelineOptions = {}) {
  const { plan } = pipeline("p", options, (flow) => void build(flow));
  const clock = virtualClock();
  const calls = new Calls(clock);
  let wakes = 0;
  const task = new Task(plan, {
    part: wholePlan(plan),
    outputs: keptOutputs(plan),
    startCall: (call, timeoutMillis) => calls.start(call, timeoutMillis),
    wake: () => {
      wakes++;
    },
  });
  const settle = async () => {
    await ticks();
    task.advance();
  };
  return { task, clock, calls, settle, wakes: () => wakes };
}

/** Until all that follows of what is settled has happened, while no time passes. */
export async function ticks(): Promise<void> {
  for (let i = 0; i < 30; i++) await Promise.resolve();
}
