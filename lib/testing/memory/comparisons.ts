import { type MarshalledItem, marshalItem } from "../../connectors/dynamo-items.js";
import type { Comparison, TableComparison } from "../../ports/tables.js";
import { byteOrder } from "./byte-order.js";
import { compareDecimals } from "./decimals.js";

/** Whether an item is as conditions want it, as DynamoDB finds. */
export const fulfils = (item: MarshalledItem | undefined, conditions: readonly TableComparison[] = []): boolean =>
  conditions.every((one) => {
    const found = item?.[one.attribute];
    if (one.is === "absent" || one.is === "present") return (found === undefined) === (one.is === "absent");
    if (found === undefined && one.orAbsent) return true;
    return holds(found, one.is, marshalItem({ value: one.value }).value);
  });

type Value = MarshalledItem[string] | undefined;

function holds(found: Value, is: Comparison, value: Value): boolean {
  const order = orderOf(found, value);
  if (is === "=") return order === 0;
  if (is === "<>") return order !== 0;
  // Booleans are equal or not; they have no order.
  if (order === null || found?.BOOL !== undefined) return false;
  if (is === "<") return order < 0;
  if (is === "<=") return order <= 0;
  return is === ">" ? order > 0 : order >= 0;
}

/** null: of two types, or absent. */
function orderOf(a: Value, b: Value): number | null {
  if (a?.S !== undefined && b?.S !== undefined) return byteOrder(a.S, b.S);
  if (a?.N !== undefined && b?.N !== undefined) return compareDecimals(a.N, b.N);
  if (a?.B !== undefined && b?.B !== undefined) return Buffer.compare(a.B, b.B);
  if (a?.BOOL !== undefined && b?.BOOL !== undefined) return Number(a.BOOL) - Number(b.BOOL);
  return null;
}
