import { fileURLToPath } from "node:url";
import { configDefaults, defineConfig } from "vitest/config";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    alias: {
      "tidemark/lambda": here("./lib/lambda.ts"),
      "tidemark/postgres": here("./lib/postgres.ts"),
      "tidemark/testing": here("./lib/testing/index.ts"),
      "tidemark/cdk": here("./cdk/index.ts"),
      "#lib": here("./lib"),
      tidemark: here("./lib/index.ts"),
    },
  },
  test: {
    // The SDK says once a process that releases of 2027 need Node 22; ours is pinned.
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true" },
    include: ["test/**/*.test.ts"],
    // They need a cloud beside them: npm run test:cloud.
    exclude: [...configDefaults.exclude, "test/cloud/**"],
    // Machines are noisy: a limit only ends what hangs.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: "forks",
    maxWorkers: 2,
  },
});
