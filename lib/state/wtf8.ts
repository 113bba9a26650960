/**
 * WTF-8: UTF-8 in which a lone surrogate is three bytes, as if it were a character. JavaScript strings may hold lone surrogates
 * (`text.slice(0, 100)` cuts an emoji in two) and UTF-8 may not: written as UTF-8 they would come back as U+FFFD.
 * https://wtf-8.codeberg.page
 */
export function encodeWtf8(text: string): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const character of text) {
    const unit = character.charCodeAt(0);
    const lone = character.length === 1 && unit >= 0xd800 && unit <= 0xdfff;
    parts.push(
      lone
        ? Uint8Array.of(0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f))
        : Buffer.from(character),
    );
  }
  return Buffer.concat(parts);
}

/** The reverse of {@link encodeWtf8}. */
export function decodeWtf8(bytes: Uint8Array): string {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let text = "";
  let plainFrom = 0;
  for (let at = 0; at + 2 < source.length; at += 1) {
    const [first = 0, second = 0, third = 0] = source.subarray(at, at + 3);
    if (first !== 0xed || second < 0xa0) continue;
    const unit = ((first & 0x0f) << 12) | ((second & 0x3f) << 6) | (third & 0x3f);
    text += source.toString("utf8", plainFrom, at) + String.fromCharCode(unit);
    plainFrom = at + 3;
    at += 2;
  }
  return text + source.toString("utf8", plainFrom);
}
