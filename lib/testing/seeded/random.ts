import { createHash } from "node:crypto";

/** Chance that repeats: the same seed gives the same draws. */
export interface Random {
  /** In [0, 1). */
  next(): number;
  /** A whole number in [0, below). */
  int(below: number): number;
  /** A whole number, both ends included. */
  between(least: number, most: number): number;
  chance(probability: number): boolean;
  pick<T>(from: readonly T[]): T;
  bytes(count: number): Uint8Array;
  /** Another generator, which depends on the seed and the label alone: draws here do not move it. */
  fork(label: string): Random;
}

/**
 * sfc32 (Chris Doty-Humphrey's Small Fast Chaotic generator, as in PractRand), begun from the SHA-256 of the seed.
 *
 * @example randomOf("seed 7").int(6)
 */
export function randomOf(seed: string): Random {
  const hash = createHash("sha256").update(seed).digest();
  let [a, b, c, counter] = [hash.readInt32LE(0), hash.readInt32LE(4), hash.readInt32LE(8), 1];
  const next32 = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  const next = () => next32() / 2 ** 32;
  const int = (below: number) => Math.floor(next() * below);
  return {
    next,
    int,
    between: (least, most) => least + int(most - least + 1),
    chance: (probability) => probability > 0 && next() < probability,
    pick: <T>(from: readonly T[]): T => from[int(from.length)] as T,
    bytes: (count) => Uint8Array.from({ length: count }, () => next32() & 0xff),
    fork: (label) => randomOf(`${seed}/${label}`),
  };
}
