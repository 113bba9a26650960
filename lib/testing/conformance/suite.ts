/** Registers one test: `test` of vitest, `node:test` and the like fit as they are. */
export type Test = (name: string, run: () => Promise<void>) => void;

/** What an implementation does not do, with the reason: its tests are left out. */
export type Without<Feature extends string> = Readonly<Partial<Record<Feature, string>>>;

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
export const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** As sessions do, one after the other: what fails is done again. */
export async function patiently(call: () => Promise<void>): Promise<void> {
  for (let attempt = 1; attempt < 10; attempt++) {
    try {
      return await call();
    } catch {
      // The next one tries again.
    }
  }
  return call();
}
