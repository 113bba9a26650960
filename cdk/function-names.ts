import { createHash } from "node:crypto";
import { Names, Stack, Token } from "aws-cdk-lib";
import type { Construct } from "constructs";

export interface FunctionNames {
  readonly task: string;
  readonly supervisor: string;
  /** By which the supervisor is called: its version changes with each deployment. */
  readonly supervisorAlias: string;
}

export const aliasName = "live";

/** Of a function's name. */
const lengthMax = 64;
const suffixLength = "-supervisor".length;

/**
 * Names that are known before the functions are: each has to know the other's, and may invoke it, which CloudFormation could not
 * put into an order if they were references.
 */
export function functionNames(scope: Construct, pipeline: string): FunctionNames {
  const { stackName } = Stack.of(scope);
  const place = Token.isUnresolved(stackName) ? Names.uniqueResourceName(scope, { maxLength: 40 }) : stackName;
  const base = shortened(`${place}-${pipeline}`);
  const supervisor = `${base}-supervisor`;
  return { task: `${base}-task`, supervisor, supervisorAlias: `${supervisor}:${aliasName}` };
}

/** What is cut off or replaced would make two names one: a hash tells them apart. */
function shortened(whole: string): string {
  const plain = whole.replaceAll(/[^A-Za-z0-9_-]/g, "-");
  const room = lengthMax - suffixLength;
  if (plain === whole && plain.length <= room) return plain;
  const hash = createHash("sha256").update(whole).digest("hex").slice(0, 8);
  return `${plain.slice(0, room - hash.length - 1)}-${hash}`;
}
