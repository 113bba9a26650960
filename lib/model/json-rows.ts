import { absent } from "./json-scan.js";

/** An object with the named members alone, as far as the record has them. */
export type Row = Readonly<Record<string, unknown>>;

/** Makes a row of its values, in the order of the names; {@link absent} for a member that is not there. */
export type RowMaker = (values: readonly unknown[]) => Row;

/** Objects of one form are made several times as fast by an expression as member by member, and few names are the rule. */
export function rowMaker(names: readonly string[]): RowMaker {
  const [a = "", b = "", c = "", d = "", e = "", f = "", g = "", h = ""] = names;
  const whole = [
    (of: readonly unknown[]) => ({ [a]: of[0] }),
    (of: readonly unknown[]) => ({ [a]: of[0], [b]: of[1] }),
    (of: readonly unknown[]) => ({ [a]: of[0], [b]: of[1], [c]: of[2] }),
    (of: readonly unknown[]) => ({ [a]: of[0], [b]: of[1], [c]: of[2], [d]: of[3] }),
    (of: readonly unknown[]) => ({ [a]: of[0], [b]: of[1], [c]: of[2], [d]: of[3], [e]: of[4] }),
    (of: readonly unknown[]) => ({ [a]: of[0], [b]: of[1], [c]: of[2], [d]: of[3], [e]: of[4], [f]: of[5] }),
    (of: readonly unknown[]) => ({
      [a]: of[0],
      [b]: of[1],
      [c]: of[2],
      [d]: of[3],
      [e]: of[4],
      [f]: of[5],
      [g]: of[6],
    }),
    (of: readonly unknown[]) => ({
      [a]: of[0],
      [b]: of[1],
      [c]: of[2],
      [d]: of[3],
      [e]: of[4],
      [f]: of[5],
      [g]: of[6],
      [h]: of[7],
    }),
  ][names.length - 1];
  const byMember = (values: readonly unknown[]) => {
    const row: Record<string, unknown> = {};
    for (const [slot, name] of names.entries()) if (values[slot] !== absent) row[name] = values[slot];
    return row;
  };
  if (whole === undefined) return byMember;
  const none = absent;
  return (values) => {
    for (let slot = 0; slot < values.length; slot++) if (values[slot] === none) return byMember(values);
    return whole(values);
  };
}
