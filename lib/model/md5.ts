/** A message of at most so many bytes is one block of MD5: 64 bytes less a mark and its length. */
export const oneBlockBytesMax = 55;

const constants = Int32Array.from({ length: 64 }, (_, i) => Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32));

/**
 * The first byte of MD5 (RFC 1321) of a message that is one block. Allocates nothing: for a short key the call into node:crypto
 * costs three times the hash.
 *
 * @param words the message in 16 words, its first byte the lowest of the first word, padded by {@link endBlock}
 */
export function md5FirstByte(words: Int32Array): number {
  const w = (i: number): number => words[i & 15] ?? 0;
  const k = (i: number): number => constants[i] ?? 0;
  let a = 0x67452301;
  let b = 0xefcdab89 | 0;
  let c = 0x98badcfe | 0;
  let d = 0x10325476;
  for (let i = 0; i < 16; i += 4) {
    a = (turned((a + (d ^ (b & (c ^ d))) + w(i) + k(i)) | 0, 7) + b) | 0;
    d = (turned((d + (c ^ (a & (b ^ c))) + w(i + 1) + k(i + 1)) | 0, 12) + a) | 0;
    c = (turned((c + (b ^ (d & (a ^ b))) + w(i + 2) + k(i + 2)) | 0, 17) + d) | 0;
    b = (turned((b + (a ^ (c & (d ^ a))) + w(i + 3) + k(i + 3)) | 0, 22) + c) | 0;
  }
  for (let i = 16; i < 32; i += 4) {
    a = (turned((a + (c ^ (d & (b ^ c))) + w(i * 5 + 1) + k(i)) | 0, 5) + b) | 0;
    d = (turned((d + (b ^ (c & (a ^ b))) + w(i * 5 + 6) + k(i + 1)) | 0, 9) + a) | 0;
    c = (turned((c + (a ^ (b & (d ^ a))) + w(i * 5 + 11) + k(i + 2)) | 0, 14) + d) | 0;
    b = (turned((b + (d ^ (a & (c ^ d))) + w(i * 5) + k(i + 3)) | 0, 20) + c) | 0;
  }
  for (let i = 32; i < 48; i += 4) {
    a = (turned((a + (b ^ c ^ d) + w(i * 3 + 5) + k(i)) | 0, 4) + b) | 0;
    d = (turned((d + (a ^ b ^ c) + w(i * 3 + 8) + k(i + 1)) | 0, 11) + a) | 0;
    c = (turned((c + (d ^ a ^ b) + w(i * 3 + 11) + k(i + 2)) | 0, 16) + d) | 0;
    b = (turned((b + (c ^ d ^ a) + w(i * 3 + 14) + k(i + 3)) | 0, 23) + c) | 0;
  }
  for (let i = 48; i < 64; i += 4) {
    a = (turned((a + (c ^ (b | ~d)) + w(i * 7) + k(i)) | 0, 6) + b) | 0;
    d = (turned((d + (b ^ (a | ~c)) + w(i * 7 + 7) + k(i + 1)) | 0, 10) + a) | 0;
    c = (turned((c + (a ^ (d | ~b)) + w(i * 7 + 14) + k(i + 2)) | 0, 15) + d) | 0;
    b = (turned((b + (d ^ (c | ~a)) + w(i * 7 + 5) + k(i + 3)) | 0, 21) + c) | 0;
  }
  return (a + 0x67452301) & 0xff;
}

/** Puts the end of the message behind its bytes: the mark, and its length in bits. The rest of the words must be 0. */
export function endBlock(words: Int32Array, length: number): void {
  const at = length >> 2;
  words[at] = (words[at] ?? 0) | (0x80 << ((length & 3) << 3));
  words[14] = length << 3;
}

const turned = (sum: number, by: number): number => (sum << by) | (sum >>> (32 - by));
