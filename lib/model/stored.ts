import type { Sha256 } from "./ids.js";

/**
 * A body by value or by name. Bigger than {@link inlineBytesMax} it lies in the bucket. Size and hash are checked before use (P3).
 * `base64` is the bytes of an inline body, so that the documents that hold one are JSON.
 */
export type Stored =
  | { readonly kind: "inline"; readonly base64: string; readonly size: number; readonly sha256: Sha256 }
  | { readonly kind: "object"; readonly key: string; readonly size: number; readonly sha256: Sha256 };

export const inlineBytesMax = 4 * 1024;
