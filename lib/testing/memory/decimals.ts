import { StreamError } from "../../model/errors.js";

/** DynamoDB keeps so many significant digits, and refuses a sum that has more. */
const digitsMax = 38;

/** digits / 10 ** scale. */
function parse(text: string): { readonly digits: bigint; readonly scale: number } {
  const [, sign = "", whole = "0", fraction = "", exponent = "0"] =
    /^([-+]?)(\d+)(?:\.(\d+))?(?:e([-+]?\d+))?$/i.exec(text) ?? [];
  const power = Number(exponent) - fraction.length;
  const scale = Math.max(0, -power);
  return { digits: BigInt(`${sign === "-" ? "-" : ""}${whole}${fraction}`) * 10n ** BigInt(power + scale), scale };
}

/** Less than 0, 0 or more: by value, however they are written. */
export function compareDecimals(a: string, b: string): number {
  const [x, y] = [parse(a), parse(b)];
  const difference = x.digits * 10n ** BigInt(y.scale) - y.digits * 10n ** BigInt(x.scale);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/**
 * A number of DynamoDB, as text, and a whole number: their sum, exact.
 *
 * @throws StreamError `invalid` where it has more digits than DynamoDB keeps
 */
export function plus(text: string, add: bigint): string {
  const { digits, scale } = parse(text);
  const sum = digits + add * 10n ** BigInt(scale);
  const magnitude = String(sum < 0n ? -sum : sum).padStart(scale + 1, "0");
  const end = magnitude.length - scale;
  const after = magnitude.slice(end).replace(/0+$/, "");
  const result = `${sum < 0n ? "-" : ""}${magnitude.slice(0, end)}${after === "" ? "" : `.${after}`}`;
  const significant = magnitude.replace(/^0+|0+$/g, "").length;
  if (significant > digitsMax)
    throw new StreamError("invalid", `a sum has ${significant} significant digits; DynamoDB keeps ${digitsMax}`);
  return result;
}
