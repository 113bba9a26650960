import type { KeyGroups } from "../model/checkpoints.js";

/** The key groups that are in both, or null. */
export function overlapOf(a: KeyGroups, b: KeyGroups): KeyGroups | null {
  const first = Math.max(a[0], b[0]);
  const last = Math.min(a[1], b[1]);
  return first <= last ? [first, last] : null;
}
