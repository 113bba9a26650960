import type { AttributeValue } from "@aws-sdk/client-dynamodb";
import { StreamError } from "../model/errors.js";
import type { TableItem } from "../ports/tables.js";

export type MarshalledItem = Record<string, AttributeValue>;

/** DynamoDB's own limits: levels of lists and maps, significant digits, and magnitudes. */
const depthMax = 32;
const digitsMax = 38;
const magnitudeMin = 1e-130;
const magnitudeMax = 9.99e125;

/**
 * A plain item in DynamoDB's words. Strings, finite numbers, bigints, booleans, null, bytes, arrays and plain objects have their counterpart;
 * members that are `undefined` are left out.
 *
 * @throws StreamError `invalid` for anything else, naming the attribute's path, such as `rows[3].price`
 */
export function marshalItem(item: TableItem): MarshalledItem {
  return marshalMembers(item, "", 0);
}

/**
 * The plain item. DynamoDB has one type for numbers and bigints: what a number can hold comes back as one, what it cannot as a bigint.
 * A set (which we never write) comes back as an array.
 */
export function unmarshalItem(item: Readonly<MarshalledItem>): TableItem {
  return record(Object.entries(item).map(([name, value]) => [name, unmarshal(value)]));
}

/**
 * The size of an item in bytes: names and strings in UTF-8, a number as half a byte for each significant digit and one more (two where it is
 * negative), 3 bytes for a list or map and 1 for each of its members.
 * https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
 */
export function sizeOfItem(item: Readonly<MarshalledItem>): number {
  return Object.entries(item).reduce((size, [name, value]) => size + Buffer.byteLength(name) + sizeOf(value), 0);
}

function marshalMembers(value: object, path: string, depth: number): MarshalledItem {
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  const join = path === "" ? "" : `${path}.`;
  if (members.some(([name]) => name === ""))
    throw unstorable(path, "has a member without a name, which DynamoDB does not take");
  return record(members.map(([name, member]) => [name, marshal(member, `${join}${name}`, depth)]));
}

function marshal(value: unknown, path: string, depth: number): AttributeValue {
  if (depth > depthMax) throw unstorable(path, `is nested deeper than ${depthMax} levels, or contains itself`);
  switch (typeof value) {
    case "string":
      if (!value.isWellFormed()) throw unstorable(path, "is a string with a lone surrogate, which UTF-8 cannot hold");
      return { S: value };
    case "number":
      return { N: numberText(value, path) };
    case "bigint":
      return { N: bigintText(value, path) };
    case "boolean":
      return { BOOL: value };
    case "object":
      return value === null ? { NULL: true } : marshalObject(value, path, depth);
    default:
      throw unstorable(path, `is ${typeof value === "undefined" ? "undefined; write null" : `a ${typeof value}`}`);
  }
}

function marshalObject(value: object, path: string, depth: number): AttributeValue {
  if (value instanceof Uint8Array) return { B: value };
  if (Array.isArray(value)) {
    return { L: Array.from(value, (member: unknown, index) => marshal(member, `${path}[${index}]`, depth + 1)) };
  }
  if (value instanceof Date) throw unstorable(path, "is a Date; write its toISOString() or getTime()");
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw unstorable(path, `is a ${value.constructor.name}; write plain objects, arrays, strings and numbers`);
  }
  return { M: marshalMembers(value, path, depth + 1) };
}

function numberText(value: number, path: string): string {
  if (!Number.isFinite(value)) throw unstorable(path, `is ${value}; a number must be finite`);
  const size = Math.abs(value);
  if (size !== 0 && (size < magnitudeMin || size > magnitudeMax)) {
    throw unstorable(path, `is ${value}; DynamoDB holds magnitudes from 1e-130 to 9.99e125`);
  }
  return String(value);
}

function bigintText(value: bigint, path: string): string {
  const text = String(value);
  const digits = significantDigits(text).length;
  if (digits > digitsMax) throw unstorable(path, `has ${digits} significant digits; DynamoDB holds ${digitsMax}`);
  return text;
}

function unmarshal(value: AttributeValue): unknown {
  if (value.S !== undefined) return value.S;
  if (value.N !== undefined) return unmarshalNumber(value.N);
  if (value.BOOL !== undefined) return value.BOOL;
  if (value.NULL !== undefined) return null;
  if (value.B !== undefined) return value.B;
  if (value.L !== undefined) return value.L.map(unmarshal);
  if (value.M !== undefined) return unmarshalItem(value.M);
  return value.SS ?? value.BS ?? value.NS?.map(unmarshalNumber);
}

function unmarshalNumber(text: string): number | bigint {
  const number = Number(text);
  const exact = significantDigits(text) === significantDigits(String(number));
  return exact || !/^-?\d+$/.test(text) ? number : BigInt(text);
}

function sizeOf(value: AttributeValue): number {
  if (value.S !== undefined) return Buffer.byteLength(value.S);
  if (value.N !== undefined)
    return Math.ceil(significantDigits(value.N).length / 2) + (value.N.startsWith("-") ? 2 : 1);
  if (value.B !== undefined) return value.B.byteLength;
  if (value.L !== undefined) return value.L.reduce((size, member) => size + 1 + sizeOf(member), 3);
  if (value.M !== undefined) return 3 + Object.keys(value.M).length + sizeOfItem(value.M);
  return 1;
}

const significantDigits = (text: string): string =>
  text
    .replace(/e.*$/i, "")
    .replace(/[-.]/g, "")
    .replace(/^0+|0+$/g, "");

/** An object with these own members, whatever their names: assigning to `__proto__` would lose one. */
function record<T>(members: readonly (readonly [name: string, value: T])[]): Record<string, T> {
  return Object.fromEntries(members);
}

function unstorable(path: string, what: string): StreamError {
  return new StreamError("invalid", `attribute ${path} ${what}`);
}
