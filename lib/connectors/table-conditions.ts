import { canonicalJson } from "../model/canonical-json.js";
import { StreamError } from "../model/errors.js";
import { isPlainObject, kindOf, refuse } from "../pipeline/checks.js";
import type { ComparableValue, Comparison, TableComparison, TableItem } from "../ports/tables.js";

/**
 * What must be so of the item that a row would replace, or the row is left out. The item's attribute is there, or not, or compared
 * with a constant, or with an attribute of the row. As in DynamoDB a comparison with what is absent, or of another type, is false
 * (but for `<>`, which is true); `orAbsent` says that an absent attribute will do, as that of an item that is not there yet.
 *
 * @see https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
 * @example { attribute: "updatedAt", is: "<", row: "updatedAt", orAbsent: true }
 * @example { attribute: "locked", is: "absent" }
 */
export type TableCondition =
  | { readonly attribute: string; readonly is: "absent" }
  | { readonly attribute: string; readonly is: "present" }
  | (OrAbsent & { readonly value: string | number | boolean })
  | (OrAbsent & { readonly row: string });

interface OrAbsent {
  readonly attribute: string;
  readonly is: Comparison;
  readonly orAbsent?: true;
}

const comparisons: ReadonlySet<string> = new Set(["=", "<>", "<", "<=", ">", ">="] satisfies Comparison[]);
const members: ReadonlySet<string> = new Set(["attribute", "is", "value", "row", "orAbsent"]);
/** An expression has 4 KB at most. */
const conditionsMax = 20;

/** The option `onlyIf`, for programs without types too. `where` is whose it is. @throws StreamError `invalid` */
export function checkedConditions(where: string, given: unknown): readonly TableCondition[] {
  if (given === undefined) return [];
  if (!Array.isArray(given) || given.length === 0 || given.length > conditionsMax)
    return refuse(where, `"onlyIf" must be a list of 1 to ${conditionsMax} conditions, not ${kindOf(given)}`);
  for (const [index, one] of given.entries()) checkCondition(`${where}: onlyIf[${index}]`, one);
  return given as readonly TableCondition[];
}

function checkCondition(where: string, one: unknown): void {
  if (!isPlainObject(one)) refuse(where, `must be an object, not ${kindOf(one)}`);
  const { attribute, is, value, row, orAbsent } = one as Readonly<Record<string, unknown>>;
  const other = Object.keys(one as object).find((name) => !members.has(name));
  if (other !== undefined) refuse(where, `has a member "${other}"; there are ${[...members].join(", ")}`);
  if (typeof attribute !== "string" || attribute === "")
    refuse(where, '"attribute" must name an attribute of the item');
  const isThere = is === "absent" || is === "present";
  if (!isThere && !comparisons.has(String(is)))
    refuse(where, `"is" is ${canonicalJson(String(is))}; there are absent, present, ${[...comparisons].join(", ")}`);
  if (isThere) {
    if (value !== undefined || row !== undefined || orAbsent !== undefined)
      refuse(where, `"${is}" is compared with nothing: leave out value, row and orAbsent`);
    return;
  }
  if ((value === undefined) === (row === undefined))
    refuse(where, 'give what it is compared with: either "value", or "row", an attribute of the row');
  if (row !== undefined && (typeof row !== "string" || row === ""))
    refuse(where, '"row" must name an attribute of the row');
  if (value !== undefined && !["string", "number", "boolean"].includes(typeof value))
    refuse(where, `"value" must be a string, a number or a boolean, not ${kindOf(value)}`);
}

/** The conditions on the put of a row. @throws StreamError `invalid`: the row has not what they compare with */
export function comparisonsFor(
  target: string,
  conditions: readonly TableCondition[],
  row: TableItem,
): readonly TableComparison[] {
  return conditions.map((one) => {
    if (one.is === "absent" || one.is === "present") return one;
    const { attribute, is, orAbsent = false } = one;
    const value = "row" in one ? row[one.row] : one.value;
    if (isComparable(value)) return { attribute, is, value, orAbsent };
    const name = "row" in one ? one.row : "";
    throw new StreamError(
      "invalid",
      `sink table "${target}": a row has ${value === undefined ? "no" : `${kindOf(value)} as its`} attribute "${name}", with which onlyIf compares the item's "${attribute}": give each row one (a string, number, bigint, boolean or bytes); a deleted() row has its key alone`,
    );
  });
}

const isComparable = (value: unknown): value is ComparableValue =>
  ["string", "number", "bigint", "boolean"].includes(typeof value) || value instanceof Uint8Array;
