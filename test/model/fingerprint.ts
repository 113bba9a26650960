// 53 bits of a state. Two states with the same bits would hide one of them: at a million states the chance is one in ten thousand.

/** States share most of their parts, so the bits of each part are computed once. */
const ofParts = new WeakMap<object, number>();
const ofTexts = new Map<string, number>();

/** Stands for null, which is not zero. */
const nothing = 0x5bd1e995;

/** Of plain data. */
export function fingerprint(value: unknown): number {
  if (typeof value === "string") return ofText(value);
  if (value === null) return nothing;
  if (typeof value !== "object") return Number(value);
  return Array.isArray(value)
    ? combined(0x9e3779b9, value)
    : combined(0xdeadbeef, Object.keys(value), Object.values(value));
}

function ofPart(part: unknown): number {
  if (typeof part !== "object" || part === null) return fingerprint(part);
  let bits = ofParts.get(part);
  if (bits === undefined) {
    bits = fingerprint(part);
    ofParts.set(part, bits);
  }
  return bits;
}

function ofText(text: string): number {
  let bits = ofTexts.get(text);
  if (bits === undefined) {
    bits = combined(
      0x41c6ce57,
      [...text].map((sign) => sign.codePointAt(0)),
    );
    ofTexts.set(text, bits);
  }
  return bits;
}

/** Two lanes of multiply and rotate over the halves of what each part has (cyrb53), mixed at the end. */
function combined(seed: number, ...lists: readonly (readonly unknown[])[]): number {
  let a = seed | 0;
  let b = 0x27d4eb2f;
  for (const list of lists) {
    for (const part of list) {
      const bits = ofPart(part);
      a = Math.imul(a ^ bits, 2654435761);
      a ^= a >>> 15;
      b = Math.imul(b ^ (bits / 2097152), 1597334677) ^ Math.imul(bits, 3266489909);
      b = (b << 13) | (b >>> 19);
    }
    a = Math.imul(a ^ list.length, 2246822507);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return 4294967296 * (2097151 & b) + (a >>> 0);
}
