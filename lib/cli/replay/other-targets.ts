import { dynamoTables } from "../../connectors/dynamo-tables.js";
import { provisioner } from "../../connectors/provision.js";
import { asStreamError, StreamError } from "../../model/errors.js";
import type { Plan } from "../../pipeline/plan.js";
import type { SinkModes } from "../../pipeline/sink-modes.js";
import { checkPresent, makeMissing, type SinkTarget, sinkTargets } from "../dev/resources.js";
import type { Target } from "../environment.js";
import { pause } from "../interrupt.js";

/**
 * W2: the targets that a redirect names are there, or are made: on this machine all that are missing, elsewhere tables, like those
 * that they stand beside.
 *
 * @returns what was made, or with `dryRun` would be
 * @throws StreamError `invalid`: something is missing, and what to make
 */
export async function haveTargets(
  target: Target,
  plan: Plan,
  modes: SinkModes,
  options: { readonly create: boolean; readonly dryRun: boolean },
): Promise<readonly string[]> {
  if (options.dryRun) return (await absentTables(target, plan, modes)).map(({ name }) => `table ${name}`);
  const made = target.local ? await makeMissing(target, plan, modes) : await makeTables(target, plan, modes, options);
  await checkPresent(target, plan, modes);
  return made;
}

async function absentTables(target: Target, plan: Plan, modes: SinkModes) {
  const tables = dynamoTables(target.clients.dynamo);
  const found = await Promise.all(
    sinkTargets(target, plan, modes)
      .filter(({ kind }) => kind === "table")
      .map(async (one) => ({ ...one, isAbsent: (await tables.describe(one.name)).kind === "absent" })),
  );
  return found.filter(({ isAbsent }) => isAbsent);
}

const tableMillisMax = 60_000;
const lookMillis = 1_000;

async function makeTables(
  target: Target,
  plan: Plan,
  modes: SinkModes,
  { create }: { readonly create: boolean },
): Promise<readonly string[]> {
  const absent = await absentTables(target, plan, modes);
  if (absent.length === 0) return [];
  const what = absent.map(
    ({ sink, name, key }) =>
      `sink "${sink}": there is no table "${name}"; make it with the key ${key.map((part) => `${part.name} (${part.type})`).join(", ")}`,
  );
  if (!create) throw new StreamError("invalid", `${what.join("\n")}\nor give --create, which makes it, on demand`);
  for (const { name, key } of absent) await provisioner(target.clients).table(name, key);
  for (const table of absent) await untilThere(target, table);
  return absent.map(({ name }) => `table ${name}`);
}

const anyKey = { string: "~", number: 0, bytes: Buffer.from("~") } as const;

/** A table that is still being made is described, and refuses reads as if it were absent. */
async function untilThere(target: Target, { name, key }: Pick<SinkTarget, "name" | "key">): Promise<void> {
  const tables = dynamoTables(target.clients.dynamo);
  const some = Object.fromEntries(key.map((part) => [part.name, anyKey[part.type]]));
  for (const end = performance.now() + tableMillisMax; ; await pause(lookMillis, null)) {
    const failure = await tables.read(name, some).then(
      () => null,
      (error: unknown) => asStreamError(error),
    );
    if (failure === null) return;
    if (performance.now() > end) throw failure;
  }
}
