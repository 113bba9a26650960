import { StreamError } from "../model/errors.js";
import { isPlainObject } from "../pipeline/checks.js";

// Values of state as JSON, for people and scripts, without loss: what JSON has no form for is an object with one member whose name
// begins with "$". docs/state.md has the table; it is a format that users keep files in.

/**
 * One value of state, or a key, as JSON text.
 *
 * @throws StreamError `invalid` for what state cannot hold
 * @example stateJson(new Map([[1, 2n]]))   // {"$map":[[1,{"$bigint":"2"}]]}
 */
export function stateJson(value: unknown): string {
  switch (typeof value) {
    case "string":
    case "boolean":
      return JSON.stringify(value);
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0)
        ? String(value)
        : tagged("number", JSON.stringify(Object.is(value, -0) ? "-0" : String(value)));
    case "bigint":
      return tagged("bigint", `"${value}"`);
    case "undefined":
      return tagged("undefined", "true");
    case "object":
      return value === null ? "null" : objectJson(value);
    default:
      throw new StreamError("invalid", `a value of type ${typeof value} is no state`);
  }
}

const tagged = (tag: string, json: string): string => `{"$${tag}":${json}}`;
const listed = (values: Iterable<unknown>): string => `[${Array.from(values, stateJson).join(",")}]`;

function objectJson(value: object): string {
  if (Array.isArray(value)) return listed(value);
  if (value instanceof Uint8Array) return tagged("bytes", `"${Buffer.from(value).toString("base64")}"`);
  if (value instanceof Date)
    return tagged("date", Number.isNaN(value.getTime()) ? "null" : JSON.stringify(value.toISOString()));
  if (value instanceof Map) return tagged("map", listed(value));
  if (value instanceof Set) return tagged("set", listed(value));
  const members = Object.entries(value);
  // A user's own object that looks like one of ours is told from it by one more "$".
  const more = members.length === 1 && members[0]?.[0].startsWith("$") ? "$" : "";
  return `{${members.map(([name, member]) => `${JSON.stringify(more + name)}:${stateJson(member)}`).join(",")}}`;
}

/**
 * The value that {@link stateJson} wrote, from what JSON.parse makes of its text.
 *
 * @throws StreamError `invalid`: an object with one member whose name begins with "$" that is none of the forms
 */
export function valueOfStateJson(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(valueOfStateJson);
  if (!isPlainObject(json)) return json;
  const members = Object.entries(json);
  const [only] = members;
  if (members.length === 1 && only?.[0].startsWith("$") === true) {
    const [name, member] = only;
    return name.startsWith("$$") ? objectOf([[name.slice(1), member]]) : untagged(name, member);
  }
  return objectOf(members);
}

function objectOf(members: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (const [name, member] of members) {
    const value = valueOfStateJson(member);
    // An assignment would change the prototype instead of making a member.
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
  }
  return object;
}

const numbers: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  "-Infinity": Number.NEGATIVE_INFINITY,
  "-0": -0,
};

function untagged(name: string, json: unknown): unknown {
  const found = untag[name]?.(json);
  if (found !== undefined) return found.value;
  const forms = Object.keys(untag).join(", ");
  throw new StreamError(
    "invalid",
    `{"${name}": …} is no value: the forms are ${forms}; a member of that name of your own is written with one more "$"`,
  );
}

type Untag = (json: unknown) => { readonly value: unknown } | undefined;

const untag: Readonly<Record<string, Untag>> = {
  $number: (json) => (typeof json === "string" && Object.hasOwn(numbers, json) ? { value: numbers[json] } : undefined),
  $bigint: (json) => (typeof json === "string" && /^-?\d+$/.test(json) ? { value: BigInt(json) } : undefined),
  $bytes: (json) =>
    typeof json === "string" && /^[A-Za-z0-9+/]*={0,2}$/.test(json)
      ? { value: Uint8Array.from(Buffer.from(json, "base64")) }
      : undefined,
  $date: (json) => {
    if (json === null) return { value: new Date(Number.NaN) };
    const date = new Date(typeof json === "string" ? json : Number.NaN);
    return Number.isNaN(date.getTime()) ? undefined : { value: date };
  },
  $map: (json) =>
    isPairs(json)
      ? { value: new Map(json.map(([key, value]) => [valueOfStateJson(key), valueOfStateJson(value)])) }
      : undefined,
  $set: (json) => (Array.isArray(json) ? { value: new Set(json.map(valueOfStateJson)) } : undefined),
  $undefined: (json) => (json === true ? { value: undefined } : undefined),
};

/** Whether it is an array of arrays of two. */
export const isPairs = (value: unknown): value is readonly (readonly [unknown, unknown])[] =>
  Array.isArray(value) && value.every((pair) => Array.isArray(pair) && pair.length === 2);
