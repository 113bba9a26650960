/** What is deployed in a runner, and how a function is named: names, versions, ARNs. */
import { statSync } from "node:fs";
import { isAbsolute } from "node:path";
import { invariant, StreamError } from "../../model/errors.js";

/** What happens to asynchronous invocations of a function; the words are those of Lambda's event invoke configuration. */
export interface AsyncConfig {
  /** How often a failed event is tried again. */
  readonly retries: 0 | 1 | 2;
  /** An event older than this is given up. */
  readonly maxAgeMs: number;
  /** The function (name, `name:qualifier` or ARN) that is told of events that were given up. */
  readonly onFailure: null | { readonly functionName: string };
}

/** One version of a function, as it is deployed. */
export interface FunctionDefinition {
  readonly name: string;
  readonly version: string;
  /** Absolute path of the .js, .mjs or .cjs file with the handler. */
  readonly entry: string;
  /** The name under which the entry exports the handler. */
  readonly handler: string;
  /** At most 900,000 ms, as in Lambda. */
  readonly timeoutMs: number;
  /** Limits the heap of the process. Default 1024. */
  readonly memoryMb?: number;
  readonly env: Readonly<Record<string, string>>;
  readonly asyncConfig: AsyncConfig;
}

/** A deployed version. Its identity matters: a version that is deployed again is another deployment. */
export interface Deployment extends FunctionDefinition {
  readonly memoryMb: number;
  /** The ARN without qualifier. */
  readonly functionArn: string;
}

export interface FunctionReference {
  readonly functionName: string;
  readonly qualifier: string | null;
}

export interface Account {
  readonly region: string;
  readonly accountId: string;
}

export type Parsed =
  | { readonly kind: "reference"; readonly reference: FunctionReference }
  | { readonly kind: "invalid"; readonly message: string };

// https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html, FunctionName: a name, a partial ARN or an ARN, each
// with or without a qualifier.
const functionNamePattern =
  /^(?:arn:aws[a-z-]*:lambda:[a-z0-9-]+:)?(?:\d{12}:function:)?(?<name>[A-Za-z0-9_-]{1,64})(?::(?<qualifier>\$LATEST|[A-Za-z0-9_.-]{1,128}))?$/;
const timeoutMsMax = 900_000;

/** Reads a name as the Invoke API allows it, and the qualifier given beside it. */
export function parseFunctionName(text: string, qualifier: string | null): Parsed {
  const groups = functionNamePattern.exec(text)?.groups;
  const name = groups?.name;
  if (name === undefined) return { kind: "invalid", message: `"${text}" is neither the name of a function nor an ARN` };
  const within = groups?.qualifier ?? null;
  if (within !== null && qualifier !== null && within !== qualifier)
    return {
      kind: "invalid",
      message: "The derived qualifier from the function name does not match the specified qualifier.",
    };
  return { kind: "reference", reference: { functionName: name, qualifier: within ?? qualifier } };
}

export function arnOf(account: Account, { functionName, qualifier }: FunctionReference): string {
  const arn = `arn:aws:lambda:${account.region}:${account.accountId}:function:${functionName}`;
  return qualifier === null ? arn : `${arn}:${qualifier}`;
}

/** Throws `invalid` with everything that is wrong with a definition, except the existence of its entry. */
export function checkDefinition(definition: FunctionDefinition): void {
  const { name, version, entry, timeoutMs, memoryMb, asyncConfig } = definition;
  const wrong = [
    /^[A-Za-z0-9_-]{1,64}$/.test(name) ? null : "name must be 1 to 64 letters, digits, - or _",
    /^(\$LATEST|[A-Za-z0-9_.-]{1,128})$/.test(version) ? null : "version must be 1 to 128 letters, digits, ., - or _",
    isAbsolute(entry) && /\.[mc]?js$/.test(entry) ? null : `entry must be an absolute path of a .js file: ${entry}`,
    timeoutMs >= 1 && timeoutMs <= timeoutMsMax ? null : `timeoutMs must be between 1 and ${timeoutMsMax}`,
    memoryMb === undefined || memoryMb >= 32 ? null : "memoryMb must be at least 32",
    [0, 1, 2].includes(asyncConfig.retries) ? null : "asyncConfig.retries must be 0, 1 or 2",
    asyncConfig.maxAgeMs > 0 ? null : "asyncConfig.maxAgeMs must be positive",
  ].filter((message) => message !== null);
  if (wrong.length > 0) throw new StreamError("invalid", `function ${name}: ${wrong.join("; ")}`);
}

/** The versions that are deployed, by name. */
export class FunctionRegistry {
  /** Versions in the order of their deployment: the last one is what an unqualified name means. */
  readonly #functions = new Map<string, Map<string, Deployment>>();

  constructor(private readonly account: Account) {}

  /** Deploys a version, or replaces it. */
  deploy(definition: FunctionDefinition): Deployment {
    checkDefinition(definition);
    const { name, version, entry } = definition;
    const found = statSync(entry, { throwIfNoEntry: false })?.isFile() ?? false;
    if (!found) throw new StreamError("invalid", `function ${name}: there is no file ${entry}; build it first`);
    const functionArn = arnOf(this.account, { functionName: name, qualifier: null });
    const deployment = { ...definition, memoryMb: definition.memoryMb ?? 1024, functionArn };
    const versions = this.#functions.get(name) ?? new Map<string, Deployment>();
    versions.delete(version);
    versions.set(version, deployment);
    this.#functions.set(name, versions);
    return deployment;
  }

  resolve({ functionName, qualifier }: FunctionReference): Deployment | null {
    const versions = this.#functions.get(functionName);
    if (versions === undefined) return null;
    if (qualifier !== null && qualifier !== "$LATEST") return versions.get(qualifier) ?? null;
    const latest = [...versions.values()].at(-1);
    invariant(latest !== undefined, `function ${functionName} is known but has no version`);
    return latest;
  }

  isCurrent(deployment: Deployment): boolean {
    return this.#functions.get(deployment.name)?.get(deployment.version) === deployment;
  }
}
