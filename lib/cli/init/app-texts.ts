// The app of the AWS CDK that a new project may have.

export const appText = (
  name: string,
): string => `// Deploys the pipeline: npx cdk bootstrap once for an account and region, then npm run deploy.
import { App, Stack } from "aws-cdk-lib";
import * as dynamodb from "aws-cdk-lib/aws-dynamodb";
import * as kinesis from "aws-cdk-lib/aws-kinesis";
import { TidemarkPipeline } from "tidemark/cdk";

const app = new App();
const stack = new Stack(app, "${stackName(name)}");
const visits = new kinesis.Stream(stack, "Visits", { shardCount: 1 });
const pages = new dynamodb.TableV2(stack, "Pages", {
  partitionKey: { name: "page", type: dynamodb.AttributeType.STRING },
});

// Functions, checkpoints, permissions and alarms follow from the pipeline's file.
new TidemarkPipeline(stack, "Pipeline", { entry: "pipeline.ts", streams: { visits }, tables: { pages } });
`;

const stackName = (name: string): string =>
  name
    .split("-")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");

export const cdkJson = `{
  "app": "npx esbuild app.ts --bundle --platform=node --format=esm --packages=external --outfile=.cdk/app.mjs --log-level=warning && node .cdk/app.mjs"
}
`;
