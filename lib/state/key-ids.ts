import type { Key } from "../model/keys.js";
import { keyBytes } from "../model/keys.js";

/** Keys that a Map tells apart by itself, as K1 does: 1, "1", 1n and true are four, 0 and -0 are one. */
export type PlainKey = string | number | bigint | boolean;

/**
 * One string for one array key, quicker than its {@link keyBytes}: no two arrays share one, since every part says its type and
 * where it ends.
 *
 * @throws StreamError `invalid` where a part is no key
 */
export function arrayKeyId(key: readonly Key[]): string {
  if (!Array.isArray(key)) checkKey(key);
  let id = "[";
  for (const part of key) {
    switch (typeof part) {
      case "string":
        if (!part.isWellFormed()) checkKey(part);
        id += `s${part.length}:${part}`;
        break;
      case "number":
        if (Number.isNaN(part)) checkKey(part);
        id += `n${part};`;
        break;
      case "bigint":
        id += `i${part};`;
        break;
      case "boolean":
        id += part ? "t" : "f";
        break;
      default:
        id += arrayKeyId(part);
    }
  }
  return `${id}]`;
}

/** @throws StreamError `invalid` where the value is no key: null, undefined, NaN, an object, a lone surrogate */
export function checkKey(key: Key): void {
  if (typeof key === "string" && key.isWellFormed()) return;
  if (typeof key === "number" && !Number.isNaN(key)) return;
  if (typeof key === "bigint" || typeof key === "boolean") return;
  keyBytes(key);
}

/** The key as it is kept: a copy, since the user may change an array later, and 0 for -0, which is the same key. */
export function keptKey<K extends Key>(key: K): K;
export function keptKey(key: Key): Key {
  if (typeof key === "number") return key + 0;
  return typeof key === "object" ? Object.freeze(key.map((part) => keptKey(part))) : key;
}
