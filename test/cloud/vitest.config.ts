// Tests against a cloud that runs outside of them: see run.mjs.
import { fileURLToPath } from "node:url";
import { configDefaults, defineConfig } from "vitest/config";
import all from "../../vitest.config.js";

const patience = 240_000;

export default defineConfig({
  ...all,
  root: fileURLToPath(new URL("../..", import.meta.url)),
  test: {
    ...all.test,
    include: ["test/cloud/**/*.test.ts"],
    exclude: configDefaults.exclude,
    globalSetup: fileURLToPath(new URL("chosen.ts", import.meta.url)),
    // An emulator is slow, and a stream of AWS takes half a minute to be made.
    testTimeout: patience,
    hookTimeout: patience,
    teardownTimeout: patience,
  },
});
