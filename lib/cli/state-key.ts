import { StreamError } from "../model/errors.js";
import { type Key, keyBytes, keyGroupOf } from "../model/keys.js";
import { stateJson, valueOfStateJson } from "../state/state-json.js";
import { keyId, type StoredKey } from "../state/state-sweep.js";

/** A key that was given, and where it is (K1). */
export interface GivenKey {
  readonly key: Key;
  readonly id: string;
  readonly keyGroup: number;
}

/**
 * `--key`: JSON in the form of docs/state.md; what is no JSON is the string itself.
 *
 * @throws StreamError `invalid` where that is no key
 */
export function parseKey(text: string): GivenKey {
  const value = jsonOr(text);
  try {
    return givenKey(valueOfStateJson(value));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StreamError("invalid", `--key ${text}: ${why}`, { cause });
  }
}

/** @throws StreamError `invalid` where the value is no key */
export function givenKey(value: unknown): GivenKey {
  const key = value as Key;
  return { key, id: keyId(key), keyGroup: keyGroupOf(keyBytes(key)) };
}

function jsonOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** For messages: what was meant may be the other of two. */
export const keyHint = ({ key }: GivenKey): string =>
  typeof key !== "number" && typeof key !== "boolean"
    ? ""
    : `; the string is --key '${JSON.stringify(stateJson(key))}'`;

/** The states of a key by name, those that it has, as JSON. */
export function statesJson({ columns, values }: Pick<StoredKey, "columns" | "values">): string {
  const members = columns.flatMap(({ name }, place) =>
    values[place] === undefined ? [] : [`${JSON.stringify(name)}:${stateJson(values[place])}`],
  );
  return `{${members.join(",")}}`;
}
