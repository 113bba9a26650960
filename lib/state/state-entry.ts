import { StreamError } from "../model/errors.js";
import type { Key } from "../model/keys.js";
import { isPlainObject, kindOf } from "../pipeline/checks.js";
import type { ListState, MapState, ValueState } from "../pipeline/state-spec.js";
import { isPairs, valueOfStateJson } from "./state-json.js";
import type { StateTable } from "./table.js";

/**
 * Gives a key the states of a line of `tidemark state`, and no others: those that are left out are empty, or initial. A map is an array
 * of pairs.
 *
 * @param states by name, as JSON.parse made them; null: the key has none
 * @throws StreamError `invalid`: no such state, or a value that is not of its kind
 */
export function writeEntry(table: StateTable, key: Key, states: unknown): void {
  if (states !== null && !isPlainObject(states))
    throw new StreamError("invalid", `the state is ${kindOf(states)}; write an object by the names of states`);
  const names = table.columns.map(({ name }) => name);
  const unknown = Object.keys(states ?? {}).find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new StreamError(
      "invalid",
      `operator "${table.operator}" declares no state "${unknown}"; it has ${names.join(", ") || "none"}`,
    );
  table.enter(key);
  for (const { name, kind } of table.columns) {
    const json = states?.[name];
    const accessor = table.accessors[name];
    (accessor as ValueState<unknown>).clear();
    if (json === undefined) continue;
    const value = valueOfStateJson(json);
    const where = `state "${name}" of operator "${table.operator}"`;
    if (kind === "value") (accessor as ValueState<unknown>).set(value);
    else if (kind === "list") {
      if (!Array.isArray(value))
        throw new StreamError("invalid", `${where} is a list: write an array, not ${kindOf(value)}`);
      for (const item of value) (accessor as ListState<unknown>).add(item);
    } else {
      const pairs = value instanceof Map ? [...value] : value;
      if (!isPairs(pairs))
        throw new StreamError("invalid", `${where} is a map: write an array of [key, value], not ${kindOf(value)}`);
      for (const [of, item] of pairs) (accessor as MapState<Key, unknown>).set(of as Key, item);
    }
  }
}
