import { readFileSync } from "node:fs";
import { StreamError } from "../../model/errors.js";
import { libraryVersion } from "../../model/library.js";

interface Manifest {
  readonly engines: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
}

/** A new project has the versions that this one is tested with. */
const ownManifest = (): Manifest =>
  JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as Manifest;

const scripts = {
  dev: "tidemark dev pipeline.ts --port 4566",
  put: "node put.mjs",
  show: "node show.mjs",
  test: "vitest run",
  check: "tsc && tidemark plan pipeline.ts",
};

/** For development: what the scripts call, and what the embedded cloud is made of. */
const tools = ["@aws-sdk/client-dynamodb", "@aws-sdk/client-kinesis", "dynalite", "kinesalite", "typescript", "vitest"];

export function manifestText(name: string, { cdk }: { readonly cdk: boolean }): string {
  const own = ownManifest();
  const versions = (names: readonly string[]) =>
    Object.fromEntries([...names].sort().map((wanted) => [wanted, versionIn(own, wanted)]));
  const manifest = {
    name,
    version: "0.0.0",
    private: true,
    type: "module",
    engines: own.engines,
    scripts: cdk ? { ...scripts, deploy: "cdk deploy" } : scripts,
    dependencies: { ...(cdk ? versions(["aws-cdk-lib", "constructs"]) : {}), tidemark: libraryVersion },
    devDependencies: versions(cdk ? [...tools, "aws-cdk", "esbuild"] : tools),
  };
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

function versionIn(own: Manifest, name: string): string {
  const found = own.peerDependencies[name] ?? own.dependencies[name] ?? own.devDependencies[name];
  if (found === undefined) throw new StreamError("bug", `package.json of tidemark names no version of ${name}`);
  return found;
}

export const tsconfigText = `{
  "compilerOptions": {
    "target": "ES2023",
    "module": "NodeNext",
    "moduleResolution": "NodeNext",
    "strict": true,
    "noUncheckedIndexedAccess": true,
    "skipLibCheck": true,
    "types": [],
    "noEmit": true
  },
  "include": ["*.ts"]
}
`;

export const gitignoreText = `node_modules/
.tidemark/
.cdk/
cdk.out/
`;
