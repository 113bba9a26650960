// Apps of the CDK, synthesized in memory, and what their templates say.
import { fileURLToPath } from "node:url";
import { App, Stack, type StackProps } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import * as dynamodb from "aws-cdk-lib/aws-dynamodb";
import * as kinesis from "aws-cdk-lib/aws-kinesis";
import { TidemarkPipeline, type TidemarkPipelineProps } from "tidemark/cdk";

export const repository = fileURLToPath(new URL("../..", import.meta.url));
export const exampleFile = `${repository}examples/flight-delays/pipeline.ts`;
export const ordersFile = fileURLToPath(new URL("pipelines/orders.ts", import.meta.url));
export const filesFile = fileURLToPath(new URL("pipelines/files.ts", import.meta.url));

export const here = { account: "123456789012", region: "eu-central-1" };
export const streamArn = (name: string, region = here.region) =>
  `arn:aws:kinesis:${region}:${here.account}:stream/${name}`;

export const newStack = (props: StackProps = { env: here }) => new Stack(new App(), "Test", props);

export const referredStream = (stack: Stack, name: string, region?: string) =>
  kinesis.Stream.fromStreamArn(stack, `Stream-${name}`, streamArn(name, region));

export const referredTable = (stack: Stack, name: string) => dynamodb.Table.fromTableName(stack, `Table-${name}`, name);

/** The example, on a stream and a table that are there already. */
export function addExample(stack: Stack, props: Partial<TidemarkPipelineProps> = {}): TidemarkPipeline {
  return new TidemarkPipeline(stack, "Flights", {
    entry: exampleFile,
    streams: { flights: referredStream(stack, "acme-flights") },
    tables: { airports: referredTable(stack, "acme-airports") },
    ...props,
  });
}

/** A pipeline that is never bundled: it is refused before. */
export const tryPipeline =
  (props: (stack: Stack) => Omit<TidemarkPipelineProps, "alarms" | "dashboard">, stackProps?: StackProps) => () => {
    const stack = newStack(stackProps);
    return new TidemarkPipeline(stack, "Tried", props(stack));
  };

type Properties = Readonly<Record<string, unknown>>;

/** The only resource of a type whose logical id begins so. @throws Error where there is none, or another one */
export function only(template: Template, type: string, begins = ""): Properties & { readonly id: string } {
  const found = Object.entries(template.findResources(type)).filter(([id]) => id.startsWith(begins));
  const [first] = found;
  if (first === undefined || found.length > 1) throw new Error(`${found.length} resources ${type} ${begins}`);
  return { ...(first[1] as { readonly Properties: Properties }).Properties, id: first[0] };
}

/** The statements of a role's policy, in one line each, references by the part of the logical id that names them. */
export function statementsOf(template: Template, role: string): readonly string[] {
  const policies = Object.values(template.findResources("AWS::IAM::Policy")) as unknown as readonly {
    readonly Properties: {
      readonly Roles: readonly { readonly Ref: string }[];
      readonly PolicyDocument: { readonly Statement: readonly Statement[] };
    };
  }[];
  return policies
    .filter(({ Properties }) => Properties.Roles.some(({ Ref }) => Ref.startsWith(role)))
    .flatMap(({ Properties }) => Properties.PolicyDocument.Statement.map(lineOf));
}

interface Statement {
  readonly Sid?: string;
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource: unknown;
  readonly Condition?: unknown;
}

const lineOf = ({ Sid, Effect, Action, Resource, Condition }: Statement): string =>
  [
    `${Sid ?? "-"}: ${Effect} ${[Action].flat().join(" ")} on ${[Resource].flat().map(textOf).join(" ")}`,
    ...(Condition === undefined ? [] : [JSON.stringify(Condition)]),
  ].join(" if ");

/** What CloudFormation will put together, as text. */
export function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  const part = value as Readonly<Record<string, unknown>>;
  if (Array.isArray(part["Fn::Join"])) return (part["Fn::Join"][1] as unknown[]).map(textOf).join("");
  if (Array.isArray(part["Fn::GetAtt"])) return `<${nameOf(part["Fn::GetAtt"][0])}.${part["Fn::GetAtt"][1]}>`;
  return `<${nameOf(part.Ref)}>`;
}

/** Without the hash. */
const nameOf = (id: unknown): string => String(id).replace(/[0-9A-F]{8}$/, "");

export const templateOf = (stack: Stack): Template => Template.fromStack(stack);
