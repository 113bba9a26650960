import type { Plan } from "../../pipeline/plan.js";
import type { OutsideStep, SendOutside, Sink, SinkResources } from "../../pipeline/sink.js";
import { callThrough } from "../faults/call.js";
import type { Process, Venue } from "../faults/process.js";
import type { RealCalls } from "./real-calls.js";

const reads: readonly OutsideStep[] = ["check", "leftovers", "close"];

/**
 * The plan as one process runs it: what its sinks ask of targets of their own, which are no services in memory, is a call like others.
 * It takes virtual time, is lost, comes late, and a session may be killed at it; and it may take real time.
 */
export function withOutsideCalls(plan: Plan, venue: Venue, process: Process, calls: RealCalls): Plan {
  const behind = (name: string, sink: Sink<never>): Sink<never> => {
    const send: SendOutside = (step, call) =>
      callThrough(venue, process, {
        service: "sinks",
        name: `sinks.${step}`,
        kind: reads.includes(step) ? "read" : "write",
        about: () => name,
        effect: () => calls.watch(call()),
        tellResult: () => "done",
      });
    const open = (resources: SinkResources) => sink.open({ ...resources, send });
    return { ...sink, open } as Sink<never>;
  };
  return { ...plan, sinks: new Map([...plan.sinks].map(([name, sink]) => [name, behind(name, sink)])) };
}
