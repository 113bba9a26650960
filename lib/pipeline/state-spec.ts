import type { Key } from "../model/keys.js";
import type { StateDeclaration } from "./plan.js";

declare const accessor: unique symbol;

/** A declaration of keyed state, plain data, that becomes an accessor of type A while a record is processed. */
export interface StateSpec<A> {
  readonly declaration: StateDeclaration;
  readonly [accessor]?: A;
}

/** One value per key. What `get` returns must not be changed in place: give a new value to `set` or `update`. */
export interface ValueState<T> {
  get(): T;
  set(value: T): void;
  update(change: (old: T) => T): void;
  /** Back to the initial value. */
  clear(): void;
}

/** A list per key, in the order of adding. */
export interface ListState<T> {
  add(value: T): void;
  /** The list as it is now, frozen: a later `add` does not change it, and copies the list for that. */
  get(): readonly T[];
  clear(): void;
}

/** A map per key. */
export interface MapState<K extends Key, V> {
  get(key: K): V | undefined;
  set(key: K, value: V): void;
  delete(key: K): void;
  entries(): Iterable<readonly [K, V]>;
  clear(): void;
}
