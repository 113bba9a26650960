import { StreamError } from "./errors.js";

// Without `stream` they keep nothing from one call to the next, also not after bytes that they refuse.
const keeping = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const dropping = new TextDecoder("utf-8", { fatal: true });
const encoder = new TextEncoder();

/** The text of a record, with a byte order mark if it begins with one. Throws `invalid` where the bytes are not UTF-8. */
export const fromUtf8 = (body: Uint8Array): string => decoded(keeping, body);

/** The text of a record, without the byte order mark that it may begin with. Throws `invalid` where the bytes are not UTF-8. */
export const fromMarkedUtf8 = (body: Uint8Array): string => decoded(dropping, body);

export const toUtf8 = (text: string): Uint8Array => encoder.encode(text);

function decoded(decoder: typeof keeping, body: Uint8Array): string {
  try {
    return decoder.decode(body);
  } catch {
    throw new StreamError("invalid", `the record (${body.length} bytes) is not UTF-8`);
  }
}
