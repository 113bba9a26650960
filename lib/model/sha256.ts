import { hash } from "node:crypto";
import type { Sha256 } from "./ids.js";

/** SHA-256 of bytes (or of a text's UTF-8) as lower-case hex: the name of a content (R6), and its check (P3). */
export function sha256(content: Uint8Array | string): Sha256 {
  return hash("sha256", content, "hex") as Sha256;
}
