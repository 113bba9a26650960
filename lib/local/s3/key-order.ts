// S3 lists keys in the order of their UTF-8 bytes. JavaScript compares UTF-16 units, which differs in one place: surrogates (U+10000
// and above) sort below U+E000..U+FFFF. Moving both ranges past each other gives the order of the bytes without encoding anything.
function rank(unit: number): number {
  if (unit >= 0xe000) return unit - 0x800;
  return unit >= 0xd800 ? unit + 0x2000 : unit;
}

/** Compares two keys by their UTF-8 bytes: negative, zero or positive. */
export function compareKeys(left: string, right: string): number {
  const shorter = Math.min(left.length, right.length);
  for (let at = 0; at < shorter; at++) {
    const a = left.charCodeAt(at);
    const b = right.charCodeAt(at);
    if (a !== b) return rank(a) - rank(b);
  }
  return left.length - right.length;
}

/** The first position in `[from, keys.length]` where `isPast` holds; it must be false, then true, along the list. */
export function firstWhere(keys: readonly string[], isPast: (key: string) => boolean, from = 0): number {
  let low = from;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isPast(keys[middle] as string)) high = middle;
    else low = middle + 1;
  }
  return low;
}
