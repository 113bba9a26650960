import { type CheckpointStore, readDesired } from "../../checkpoint/store.js";
import { StreamError } from "../../model/errors.js";
import type { Code, GenerationRecord, Head } from "../../model/head.js";

/**
 * P4: the code of a deployment that has run, by its number.
 *
 * @returns undefined: it is the one that is deployed now
 * @throws StreamError `invalid`, naming those that are known
 */
export async function codeOfDeployment(
  store: CheckpointStore,
  head: Head,
  deployment: number,
): Promise<Code | undefined> {
  const now = (await readDesired(store))?.value.code ?? null;
  const listed = await store.registers.list(store.pipeline, `generation/${head.incarnation}/`);
  const records = listed.map(({ register }) => JSON.parse(register.body) as GenerationRecord);
  const known = new Map<number, Code>();
  // Of several the first: a number whose code was gone back from stands for what was gone back to later.
  for (const { deployment: of, functionVersion, fingerprint } of records)
    if (of > 0 && !known.has(of)) known.set(of, { functionVersion, fingerprint });
  const code = known.get(deployment);
  if (code === undefined) {
    const all = [...known].map(([of, one]) => `${of} (version ${one.functionVersion})`).join(", ");
    throw new StreamError(
      "invalid",
      `pipeline "${store.pipeline}": no generation that is still known ran deployment ${deployment}; known are: ${all || "none"}`,
    );
  }
  return code.functionVersion === now?.functionVersion ? undefined : code;
}
