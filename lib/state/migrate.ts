import { StreamError } from "../model/errors.js";
import type { Key } from "../model/keys.js";
import { isPlainObject, kindOf } from "../pipeline/checks.js";
import type { SliceHeader } from "./snapshot-format.js";
import type { StateTable } from "./table.js";

// P2: state of an older version becomes that of this one when it is restored, key by key and step by step, and is written again as a base.

type Known = Pick<StateTable, "operator" | "stateVersion" | "columns" | "migrations">;

/**
 * What a slice of an older version has for a key, by the columns of the table.
 *
 * @returns null where the key has no state any more
 * @throws StreamError `invalid`, naming operator, key and step, where a step throws, or gives what is no state of the operator
 */
export function migrated(
  table: Known,
  { stateVersion, columns }: Omit<SliceHeader, "operator">,
  key: Key,
  values: readonly unknown[],
): readonly unknown[] | null {
  let states: Readonly<Record<string, unknown>> | null = Object.fromEntries(
    columns.flatMap(({ name, kind }, place) => {
      const value = values[place];
      return value === undefined ? [] : [[name, kind === "map" ? new Map(value as []) : value]];
    }),
  );
  for (let version = stateVersion; version < table.stateVersion && states !== null; version++) {
    const where = `operator "${table.operator}", key ${keyText(key)}: migrate from version ${version} to ${version + 1}`;
    states = stepped(table, where, version, { states, key });
    if (version === table.stateVersion - 1 && states !== null) return placed(table, where, states);
  }
  return null;
}

function stepped(
  { migrations }: Known,
  where: string,
  version: number,
  { states, key }: { readonly states: Readonly<Record<string, unknown>>; readonly key: Key },
): Readonly<Record<string, unknown>> | null {
  const step = migrations.get(version);
  if (step === undefined) throw new StreamError("bug", `${where}: there is no such step, and nobody noticed`);
  let made: unknown;
  try {
    made = step(states, key);
  } catch (cause) {
    throw new StreamError("invalid", `${where}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  if (made === null || (isPlainObject(made) && typeof made.then !== "function")) return made;
  const forgotten = made === undefined ? "; is a return missing? null is for a key that has no state any more" : "";
  throw new StreamError(
    "invalid",
    `${where}: gives ${kindOf(made)}, not an object of states by their names${forgotten}`,
  );
}

function placed(
  { columns }: Known,
  where: string,
  states: Readonly<Record<string, unknown>>,
): readonly unknown[] | null {
  const names = columns.map(({ name }) => name);
  const unknown = Object.keys(states).find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new StreamError("invalid", `${where}: gives a state "${unknown}"; the operator has ${names.join(", ")}`);
  const values = columns.map(({ name, kind }) => savedValue(`${where}: state "${name}"`, kind, states[name]));
  return values.every((value) => value === undefined) ? null : values;
}

/**
 * The state of a key as a snapshot has it: a list that is not empty, a map as pairs.
 *
 * @throws StreamError `invalid` where the value is not of that kind
 */
export function savedValue(where: string, kind: StateTable["columns"][number]["kind"], value: unknown): unknown {
  if (value === undefined || kind === "value") return value;
  if (kind === "map" && value instanceof Map) return value.size === 0 ? undefined : [...value];
  if (kind === "list" && Array.isArray(value)) return value.length === 0 ? undefined : [...value];
  const wanted = kind === "map" ? "a Map" : "an array";
  throw new StreamError("invalid", `${where} is a ${kind}, so that it must be given ${wanted}, not ${kindOf(value)}`);
}

/** A key in a message. */
export function keyText(key: Key): string {
  if (typeof key === "bigint") return `${key}n`;
  return typeof key === "object" ? `[${key.map(keyText).join(", ")}]` : (JSON.stringify(key) ?? String(key));
}
