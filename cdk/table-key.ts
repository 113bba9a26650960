import { Stack } from "aws-cdk-lib";
import { CfnGlobalTable, CfnTable } from "aws-cdk-lib/aws-dynamodb";
import type { IConstruct } from "constructs";
import { StreamError } from "#lib/model/errors.js";

export interface KeyAttribute {
  readonly name: string;
  readonly type: "string" | "number" | "bytes";
}

const typeNames: Readonly<Record<string, KeyAttribute["type"]>> = { S: "string", N: "number", B: "bytes" };

/**
 * Whether a table has the key that is wanted: known here where the table is made by this app. One that is only referred to is
 * looked at when a session starts.
 *
 * @throws StreamError `invalid` where it has another
 */
export function checkTableKey(where: string, table: IConstruct, wanted: readonly KeyAttribute[]): void {
  const found = keyOf(table);
  if (found === null) return;
  const [has, needs] = [describe(found), describe(wanted)];
  if (has === needs) return;
  throw new StreamError("invalid", `${where}: the table ${table.node.path} has the key (${has}), and needs (${needs})`);
}

function keyOf(table: IConstruct): readonly KeyAttribute[] | null {
  const made = table.node.defaultChild;
  if (!(made instanceof CfnTable || made instanceof CfnGlobalTable)) return null;
  const { keySchema, attributeDefinitions } = Stack.of(table).resolve({
    keySchema: made.keySchema,
    attributeDefinitions: made.attributeDefinitions,
  }) as {
    readonly keySchema?: readonly { readonly attributeName: string; readonly keyType: string }[];
    readonly attributeDefinitions?: readonly { readonly attributeName: string; readonly attributeType: string }[];
  };
  const types = new Map((attributeDefinitions ?? []).map((one) => [one.attributeName, one.attributeType]));
  const schema = [...(keySchema ?? [])].sort((a, b) => a.keyType.localeCompare(b.keyType));
  return schema.map(({ attributeName: name }) => ({ name, type: typeNames[types.get(name) ?? ""] ?? "string" }));
}

const describe = (key: readonly KeyAttribute[]): string => key.map(({ name, type }) => `${name}: ${type}`).join(", ");
