export const readmeText = (name: string, { cdk }: { readonly cdk: boolean }): string => `# ${name}

Counts the visits of each page, exactly once, with tidemark. Its documentation is in \`node_modules/tidemark/docs\`.

| file | what |
|---|---|
| \`pipeline.ts\` | the pipeline: change this |
| \`pipeline.test.ts\` | runs it in memory, through crashes |
| \`tidemark.config.ts\` | what the names in the pipeline mean here |
| \`put.mjs\`, \`show.mjs\` | put records in on this machine, and show what came out |
${cdk ? "| `app.ts`, `cdk.json` | deploy it |\n" : ""}
\`\`\`sh
npm install
npm run check
npm test
\`\`\`

## On this machine

\`\`\`sh
npm run dev
\`\`\`

starts an embedded Kinesis, DynamoDB and S3, and runs the pipeline until Ctrl-C. Meanwhile, in another terminal:

\`\`\`sh
npm run put -- / /about /
npm run show
\`\`\`

Rows are there after the next checkpoint, ten seconds at most. After Ctrl-C the next \`npm run dev\` goes on where this one has
stopped. To see it go through crashes: \`npm run dev -- --chaos 5s\`. To start over, delete \`.tidemark\`.
${cdk ? deployText : withoutCdk}`;

const deployText = `
## On AWS

\`\`\`sh
npx cdk bootstrap
npm run deploy
\`\`\`

The outputs of the stack are the names that the commands need:

\`\`\`sh
export TIDEMARK_TABLE=… TIDEMARK_BUCKET=… TIDEMARK_SUPERVISOR_FUNCTION=…
npx tidemark doctor pipeline.ts --aws
npx tidemark status pipeline.ts --aws
\`\`\`
`;

const withoutCdk = `
## On AWS

\`npx tidemark init other-folder --cdk\` writes an app of the AWS CDK as well; \`node_modules/tidemark/docs/deploy.md\` explains it.
`;
