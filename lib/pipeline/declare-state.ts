import type { Json } from "../model/canonical-json.js";
import type { Key } from "../model/keys.js";
import type { ListState, MapState, StateSpec, ValueState } from "./state-spec.js";

/**
 * One value per key. `initial` is what a key has that was never set: plain data (JSON), part of the plan's fingerprint, and frozen,
 * so that a change in place throws instead of reaching the other keys. Without it a key has `undefined`.
 *
 * @example
 * state: { count: value(0), last: value<string>() }
 * // in onRecord:  state.count.update((n) => n + 1);  state.last.set(record.id);
 */
export function value<T>(initial: T): StateSpec<ValueState<T>>;
export function value<T>(): StateSpec<ValueState<T | undefined>>;
export function value(initial?: unknown): StateSpec<ValueState<unknown>> {
  // The operator that it is given to checks and copies it: only there the message can say where it stands.
  const declaration =
    initial === undefined ? { kind: "value" as const } : { kind: "value" as const, initial: initial as Json };
  return Object.freeze({ declaration: Object.freeze(declaration) });
}

/**
 * A list per key, in the order of adding.
 *
 * @example state: { seen: list<string>() }   // in onRecord:  state.seen.add(record.id)
 */
export function list<T>(): StateSpec<ListState<T>> {
  return Object.freeze({ declaration: Object.freeze({ kind: "list" as const }) });
}

/**
 * A map per key. Its own keys are what streams can be keyed by: 1 and "1" are two.
 *
 * @example state: { perCarrier: map<string, number>() }   // in onRecord:  state.perCarrier.get(record.carrier)
 */
export function map<K extends Key, V>(): StateSpec<MapState<K, V>> {
  return Object.freeze({ declaration: Object.freeze({ kind: "map" as const }) });
}
