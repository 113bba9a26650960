import type { World } from "../../ports/world.js";
import { aboutCall, aboutResult } from "./about.js";
import { callThrough } from "./call.js";
import type { Process, Venue } from "./process.js";
import { moodyLog, moodyStreams, retriedSwaps } from "./troubles.js";

/** `scan`: gives an async iterable. `local`: answers at once, without a call. */
type MethodKind = "read" | "write" | "scan" | "local";

export type Service = Exclude<keyof World, "clock">;

/** Of every method, whether it changes something: a lost answer of a read leaves no doubt. */
const methods = {
  registers: { read: "read", swap: "write", put: "write", list: "read", remove: "write" },
  blobs: { put: "write", get: "read", list: "scan", remove: "write" },
  log: { describe: "read", shards: "read", cursor: "read", read: "read" },
  files: { stat: "read", read: "read", write: "write", sync: "write", move: "write", list: "read", remove: "write" },
  objects: { size: "read", list: "scan", rules: "read", put: "write", copy: "write", remove: "write" },
  tables: { describe: "read", put: "write", transact: "write", read: "read", measure: "local" },
  streams: { describe: "read", put: "write" },
  functions: { invokeTask: "write", callSupervisor: "write" },
} as const satisfies { readonly [S in Service]: { readonly [M in keyof World[S]]: MethodKind } };

export const services = Object.keys(methods) as readonly Service[];

/** Told of every call that a living process sends, before anything happens with it. */
export type OnSent = (process: Process, name: string, args: readonly unknown[]) => void;

/**
 * The ports as one process has them: the same services, behind everything that can go wrong between. Ports that are not there
 * stay so.
 */
export function faultyPorts<W extends Partial<World>>(world: W, venue: Venue, process: Process, onSent: OnSent): W {
  const behind: Partial<World> = { ...world };
  if (world.registers !== undefined) Object.assign(behind, { registers: retriedSwaps(world.registers, venue) });
  if (world.log !== undefined) Object.assign(behind, { log: moodyLog(world.log, venue) });
  if (world.streams !== undefined) Object.assign(behind, { streams: moodyStreams(world.streams, venue) });
  const ports = services
    .filter((service) => world[service] !== undefined)
    .map((service) => [service, faultyPort(service, behind[service] as object, venue, process, onSent)]);
  const clock = world.clock === undefined ? {} : { clock: process.clock };
  return { ...world, ...Object.fromEntries(ports), ...clock };
}

type Method = (...args: readonly unknown[]) => unknown;

function faultyPort(service: Service, port: object, venue: Venue, process: Process, onSent: OnSent): object {
  const wrapped = Object.entries<MethodKind>(methods[service]).map(([method, kind]) => {
    const call = (...args: readonly unknown[]) => Reflect.apply(Reflect.get(port, method) as Method, port, args);
    if (kind === "local") return [method, call];
    const name = `${service}.${method}`;
    const through = <T>(effect: () => Promise<T>, args: readonly unknown[]): Promise<T> => {
      if (process.isAlive) onSent(process, name, args);
      const about = () => aboutCall(name, args);
      const tellResult = (result: unknown) => aboutResult(name, result);
      return callThrough(venue, process, {
        service,
        name,
        kind: kind === "scan" ? "read" : kind,
        about,
        effect,
        tellResult,
      });
    };
    if (kind === "scan") {
      const scan = (...args: readonly unknown[]) => scanned(() => through(() => collect(call(...args)), args));
      return [method, scan];
    }
    return [method, (...args: readonly unknown[]) => through(async () => call(...args), args)];
  });
  return Object.fromEntries(wrapped) as object;
}

async function* scanned(answer: () => Promise<readonly unknown[]>): AsyncGenerator<unknown, void, void> {
  yield* await answer();
}

async function collect(items: unknown): Promise<readonly unknown[]> {
  const all: unknown[] = [];
  for await (const item of items as AsyncIterable<unknown>) all.push(item);
  return all;
}
