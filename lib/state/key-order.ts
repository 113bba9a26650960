import { type Key, keyBytes } from "../model/keys.js";

/** In the order of {@link keyBytes}: strings by code point, then all other keys, whose bytes begin with 0xFF. */
export function inKeyOrder<T extends { readonly key: Key }>(items: readonly T[]): readonly T[] {
  const texts: { readonly text: string; readonly item: T }[] = [];
  const others: { readonly bytes: Uint8Array; readonly item: T }[] = [];
  for (const item of items) {
    if (typeof item.key === "string") texts.push({ text: item.key, item });
    else others.push({ bytes: keyBytes(item.key), item });
  }
  texts.sort((a, b) => compareTexts(a.text, b.text));
  others.sort((a, b) => Buffer.compare(a.bytes, b.bytes));
  return [...texts, ...others].map(({ item }) => item);
}

/** UTF-8 sorts by code point, JavaScript by UTF-16 unit: they differ where a surrogate meets a unit from U+E000 on. */
function compareTexts(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i += 1) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

const rank = (unit: number): number => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x1_0000 : unit);
