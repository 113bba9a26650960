import type { Key } from "../model/keys.js";
import { checkFunction, isPlainObject, kindOf, quoted, refuse } from "./checks.js";

/**
 * What an operator's states of one key become in the next version: from an object by state name (a value as it is, a list as an array,
 * a map as a Map) to one of the same form. A state that is left out has its initial value, or is empty; null: the key has no state.
 */
// biome-ignore lint/suspicious/noExplicitAny: what older code has kept no declaration of this code knows
export type Migration = (old: any, key: any) => Readonly<Record<string, unknown>> | null;

/** As {@link Migration}, of the one value that a `reduce` keeps. */
// biome-ignore lint/suspicious/noExplicitAny: what older code has kept no declaration of this code knows
export type ValueMigration = (old: any, key: any) => unknown;

/** By the version that it begins from. */
export type Migrations = ReadonlyMap<number, Migration>;

export const noMigrations: Migrations = new Map();

/**
 * The steps of an operator in version `version`: each from a version to the next.
 *
 * @throws StreamError `invalid`: one that begins at no version before that, or is missing between the first one and that
 */
export function migrationsOf(where: string, version: number, given: unknown): Migrations {
  if (given === undefined) return noMigrations;
  const at = `${where}: migrate`;
  if (!isPlainObject(given))
    return refuse(at, `must be an object of functions by version, such as { 1: (old) => … }, not ${kindOf(given)}`);
  const steps = new Map<number, Migration>();
  for (const [name, step] of Object.entries(given)) {
    const from = Number(name);
    if (!/^[1-9]\d{0,6}$/.test(name) || from >= version)
      refuse(at, `has a step from version ${quoted(name)}, but this is version ${version}: steps begin at 1 to it`);
    checkFunction(`${at}, the step from version ${from}`, step, "plain");
    steps.set(from, step as Migration);
  }
  const missing = missingStep(steps, version, Math.min(...steps.keys()));
  if (missing !== null)
    refuse(
      at,
      `has no step from version ${missing} to ${missing + 1}, so that state of version ${Math.min(...steps.keys())} cannot become version ${version}; add ${missing}: (old) => …`,
    );
  return steps;
}

/** The first step that is not there on the way between two versions; null where all are. */
export function missingStep(steps: Migrations, version: number, from: number): number | null {
  for (let step = from; step < version; step++) if (!steps.has(step)) return step;
  return null;
}

/** Of an operator whose only state is one value, of which users see nothing but that. */
export const ofValue = (steps: Migrations): Migrations =>
  new Map(
    [...steps].map(([from, step]) => [
      from,
      (old: { readonly value: unknown }, key: Key) => {
        const value: unknown = step(old.value, key);
        return value === null || value === undefined ? value : { value };
      },
    ]),
  ) as Migrations;
