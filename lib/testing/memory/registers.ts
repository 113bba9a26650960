import { StreamError } from "../../model/errors.js";
import {
  type Register,
  type RegisterKey,
  type RegisterPage,
  type Registers,
  registerBytesMax,
} from "../../ports/registers.js";
import { byteOrder } from "./byte-order.js";
import { SortedMap } from "./sorted-map.js";

export interface MemoryRegisters {
  readonly registers: Registers;
  /** All there is, by group and name: for oracles. */
  all(): readonly { readonly key: RegisterKey; readonly register: Register }[];
}

/**
 * Registers in this process. Answers come on the microtask queue, and the same calls in the same order give the same answers.
 *
 * @example const { registers } = memoryRegisters();
 */
export function memoryRegisters(): MemoryRegisters {
  const groups = new Map<string, SortedMap<Register>>();
  const group = (name: string): SortedMap<Register> => {
    const found = groups.get(name) ?? new SortedMap<Register>();
    groups.set(name, found);
    return found;
  };
  const set = (key: RegisterKey, version: number, body: string) => group(key.group).set(key.name, { version, body });
  const current = (key: RegisterKey): Register | null => groups.get(key.group)?.get(key.name) ?? null;
  const list = (name: string, prefix: string, page?: RegisterPage) =>
    group(name)
      .list(prefix, page?.from, page?.limit)
      .map(([key, register]) => ({ name: key, register }));

  return {
    registers: {
      read: async (key) => current(key),
      async swap(key, expected, body) {
        checkBody(key, body);
        const found = current(key);
        if ((found?.version ?? null) !== expected) return { kind: "conflict", current: found };
        set(key, (expected ?? 0) + 1, body);
        return { kind: "swapped" };
      },
      async put(key, body) {
        checkBody(key, body);
        set(key, (current(key)?.version ?? 0) + 1, body);
      },
      list: async (name, prefix, page) => list(name, prefix, page),
      async remove(key) {
        group(key.group).delete(key.name);
      },
    },
    all: () =>
      [...groups.keys()]
        .sort(byteOrder)
        .flatMap((name) =>
          list(name, "").map((entry) => ({ key: { group: name, name: entry.name }, register: entry.register })),
        ),
  };
}

function checkBody(key: RegisterKey, body: string): void {
  const size = Buffer.byteLength(body);
  if (size <= registerBytesMax) return;
  throw new StreamError(
    "invalid",
    `register "${key.group}/${key.name}": ${size} bytes; at most ${registerBytesMax} fit`,
  );
}
