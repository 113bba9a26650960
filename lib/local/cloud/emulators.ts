import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { StreamError } from "../../model/errors.js";

/** A JSON object as it travels in requests, answers and emulators. */
export type Fields = Record<string, unknown>;

/** What a service answers to one operation: an HTTP status and a body (none where the service sends none). */
export interface Answer {
  readonly status: number;
  readonly body: Fields | undefined;
}

/** The callback of every function of the emulators. Refusals are errors that carry `statusCode` and `body`. */
export type Done<T = unknown> = (error?: Error | null, value?: T) => void;

/** A lock by key, as npm `lock` makes it: `release(done)` is a function that lets go and then calls `done`. */
export type Lock = (key: string, run: (release: (done: () => void) => () => void) => void) => void;

type Action = (store: never, input: Fields, done: Done<Fields>) => void;
interface Check {
  readonly types: Fields;
  readonly custom?: unknown;
}
interface Checks {
  checkTypes(input: Fields, types: Fields): Fields;
  checkValidations(input: Fields, types: Fields, custom: unknown, store: unknown): void;
}

/** One of the two packages, by parts: its storage module, and its operations without its HTTP server. */
export interface Emulator<Database> {
  readonly database: Database;
  readonly operations: ReadonlySet<string>;
  /** The input, validated as the service does it; throws the emulator's refusal. Consumes `input`. */
  check(operation: string, input: Fields, store: object): Fields;
  /** Runs the operation on a checked input. */
  perform(operation: string, input: Fields, store: object): Promise<Answer>;
}

const lowerFirst = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1);

/**
 * Loads an emulator. Nothing of it is loaded before this call, so that those who do not use the embedded cloud need not install it.
 *
 * @throws StreamError `invalid` when the package is not installed.
 */
export function loadEmulator<Database>(
  name: "kinesalite" | "dynalite",
  operations: readonly string[],
): Emulator<Database> {
  const load = requireFor(name);
  const checks = load(`${name}/validations`) as Checks;
  const known = new Set(operations);
  return {
    database: load(`${name}/db`) as Database,
    operations: known,
    check(operation, input, store) {
      const check = load(`${name}/validations/${lowerFirst(operation)}`) as Check;
      const checked = checks.checkTypes(input, check.types);
      checks.checkValidations(checked, check.types, check.custom, store);
      return checked;
    },
    perform(operation, input, store) {
      const action = load(`${name}/actions/${lowerFirst(operation)}`) as Action;
      return new Promise((resolve, reject) => {
        action(store as never, input, (error, body) => {
          if (!error) resolve({ status: 200, body });
          else answerOf(error, resolve, reject);
        });
      });
    },
  };
}

function answerOf(error: Error, resolve: (answer: Answer) => void, reject: (error: Error) => void): void {
  const refused = refusalIn(error);
  if (refused === undefined) reject(error);
  else resolve(refused);
}

/** The service's own refusal that an error of an emulator carries; undefined for a fault. */
export function refusalIn(error: unknown): Answer | undefined {
  if (!(error instanceof Error)) return undefined;
  const { statusCode, body } = error as Error & { statusCode?: unknown; body?: unknown };
  if (typeof statusCode !== "number" || typeof body !== "object" || body === null) return undefined;
  return { status: statusCode, body: body as Fields };
}

// Beside the library first, where a package manager puts optional peers; then in the project that runs it (linked checkouts).
function requireFor(name: string): NodeJS.Require {
  for (const from of [import.meta.url, pathToFileURL(join(process.cwd(), "package.json"))]) {
    const candidate = createRequire(from);
    try {
      candidate.resolve(`${name}/db`);
      return candidate;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  throw new StreamError(
    "invalid",
    `the embedded cloud needs the npm package ${name}, which is not installed: run \`npm i -D kinesalite dynalite\``,
  );
}
