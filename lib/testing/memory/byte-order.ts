/**
 * Compares strings by their UTF-8, as DynamoDB and S3 do: not the order of JavaScript's `<`, which goes by UTF-16, where the halves of
 * characters beyond U+FFFF stand before U+E000.
 */
export function byteOrder(a: string, b: string): number {
  const least = Math.min(a.length, b.length);
  for (let at = 0; at < least; at += 1) {
    const difference = rank(a.charCodeAt(at)) - rank(b.charCodeAt(at));
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Halves of characters come behind all whole ones. */
const rank = (unit: number): number => (unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800);
