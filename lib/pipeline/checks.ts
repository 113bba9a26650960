import type { Json } from "../model/canonical-json.js";
import { StreamError } from "../model/errors.js";

const nameLengthMax = 64;
const jsonDepthMax = 32;

/** Throws `invalid`. `where` names pipeline and operator, `problem` says what is wrong and what to do. */
export function refuse(where: string, problem: string): never {
  throw new StreamError("invalid", `${where}: ${problem}`);
}

/**
 * A name of a pipeline, source, operator, sink or state. Names become parts of keys and members of records, which is why they
 * are short and plain, and why `__proto__` is none.
 *
 * @param what such as `the operator's name`
 */
export function checkName(where: string, what: string, name: unknown): string {
  const rule = `letters, digits, "-", "_" and ".", a letter or digit first, at most ${nameLengthMax} characters`;
  if (typeof name !== "string")
    return refuse(where, `${what} is missing or no string (${kindOf(name)}); write ${rule}`);
  if (name === "") return refuse(where, `${what} is empty; write ${rule}`);
  if (name.length > nameLengthMax || !/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name)) {
    return refuse(where, `${what}, ${quoted(name)}, cannot be used; write ${rule}`);
  }
  if (name in Object.prototype) {
    return refuse(where, `${what}, ${quoted(name)}, is a member of every JavaScript object; choose another`);
  }
  return name;
}

/** A plain object with no other members than the known ones: a misspelt option is an error, not a silent default. */
export function checkMembers(where: string, value: unknown, known: readonly string[]): void {
  if (!isPlainObject(value)) refuse(where, `must be an object with ${known.join(", ")}, not ${kindOf(value)}`);
  for (const name of Object.keys(value)) {
    if (!known.includes(name)) refuse(where, `${quoted(name)} is not known; it may have ${known.join(", ")}`);
  }
}

/** A function that returns its result at once. A generator only where rows may be yielded. */
export function checkFunction(where: string, value: unknown, allowed: "plain" | "plain or generator"): void {
  if (typeof value !== "function") refuse(where, `must be a function, not ${kindOf(value)}`);
  const tag = Object.prototype.toString.call(value);
  if (tag === "[object AsyncFunction]" || tag === "[object AsyncGeneratorFunction]") {
    refuse(where, "is an async function, but operators are synchronous: their state could not be cut while they wait");
  }
  if (tag === "[object GeneratorFunction]" && allowed === "plain") {
    refuse(
      where,
      "is a generator function, but rows may only be yielded by onRecord, onLeft and onRight of process(); return the result",
    );
  }
}

/** A whole number of at least `least`, at most `most`. */
export function checkWhole(
  where: string,
  value: unknown,
  limits: { readonly least: number; readonly most: number },
): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < limits.least || value > limits.most) {
    const found = typeof value === "number" ? String(value) : kindOf(value);
    return refuse(where, `must be a whole number from ${limits.least} to ${limits.most}, not ${found}`);
  }
  return value;
}

/**
 * A frozen copy of a value that JSON holds without loss, so that neither a change by its owner nor one in place reaches the plan.
 *
 * @throws StreamError `invalid`, with the path: undefined, NaN, bigints, dates, maps, instances of classes, cycles
 */
export function frozenJson(where: string, value: unknown, depth = 0): Json {
  if (depth > jsonDepthMax) return refuse(where, `is nested more than ${jsonDepthMax} deep, or contains itself`);
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number" && Number.isFinite(value)) return value === 0 ? 0 : value;
  if (Array.isArray(value)) {
    return Object.freeze(Array.from(value, (item, index) => frozenJson(`${where}[${index}]`, item, depth + 1)));
  }
  if (!isPlainObject(value)) return refuse(where, `is ${kindOf(value)}, which JSON cannot hold; use plain data`);
  const members = Object.entries(value).map(([name, member]) => {
    if (name === "__proto__") return refuse(where, 'has a member "__proto__", which no state may have');
    return [name, frozenJson(`${where}.${name}`, member, depth + 1)] as const;
  });
  return Object.freeze(Object.fromEntries(members));
}

/** An object as `{}` or `Object.create(null)` makes it, also in another realm. */
export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** What a value is, in words, for error messages: never the value itself. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "number") return Number.isFinite(value) ? "a number" : String(value);
  if (Array.isArray(value)) return "an array";
  if (typeof value !== "object") return `a ${typeof value}`;
  const maker: unknown = Object.getPrototypeOf(value)?.constructor;
  const name = typeof maker === "function" ? maker.name : "";
  return name === "" || name === "Object" ? "an object" : `an object of ${name}`;
}

/** A name as it was written, cut where it is long. */
export const quoted = (name: string): string => JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
