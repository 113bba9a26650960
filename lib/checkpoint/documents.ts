import { canonicalJson } from "../model/canonical-json.js";
import { StreamError } from "../model/errors.js";

/** What every stored document carries, so that code of another version says so instead of guessing. */
interface Versioned {
  readonly format: 1;
}

/** A document as text: one text for one content, so that its hash can be its name (R6). */
export function encodeDocument<T extends Versioned>(document: T): string {
  return canonicalJson(document);
}

/**
 * The document in a text that we wrote.
 *
 * @param where its name, for the message
 * @param members some that must be there: a document of another kind is found out at once
 * @throws StreamError `corrupt` where it is no such document; `invalid` where a later version of the library wrote it
 */
export function decodeDocument<T extends Versioned>(
  text: string,
  where: string,
  members: readonly (keyof T & string)[],
): T {
  const document = recent.get(text) ?? remember(text, parse(text, where));
  const format = document.format;
  if (typeof format === "number" && format > 1) {
    throw new StreamError(
      "invalid",
      `${where} has format ${format}, this version of tidemark reads format 1: upgrade it`,
    );
  }
  const missing = (["format", ...members] as const).filter((member) => !Object.hasOwn(document, member));
  if (format !== 1 || missing.length > 0) {
    throw new StreamError(
      "corrupt",
      `${where} is not what was written: ${missing.join(", ") || "format"} is missing or wrong`,
    );
  }
  return document as unknown as T;
}

/**
 * Documents that were read lately, by their text: head, leases and records are read every second, and seldom change. Who reads one has
 * the same object as who read it before, so it is frozen.
 */
const recent = new Map<string, Readonly<Record<string, unknown>>>();
const recentMax = 128;
const recentLengthMax = 16 * 1024;

function remember(text: string, document: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (text.length > recentLengthMax) return document;
  if (recent.size >= recentMax) recent.clear();
  freeze(document);
  recent.set(text, document);
  return document;
}

function freeze(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  Object.freeze(value);
  for (const member of Object.values(value)) freeze(member);
}

function parse(text: string, where: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (cause) {
    throw new StreamError("corrupt", `${where} is not JSON`, { cause });
  }
  throw new StreamError("corrupt", `${where} is not a JSON object`);
}
