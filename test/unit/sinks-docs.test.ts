// The tests in docs/sinks.md are tests: they run here, as their readers would run them.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { testsIn } from "../docs/runnable.js";

const { names, outfile } = await testsIn("docs/sinks.md");
describe("docs/sinks.md", async () => {
  await import(/* @vite-ignore */ pathToFileURL(outfile).href);
  await rm(join(outfile, ".."), { recursive: true });

  it("has tests", () => {
    expect(names).toEqual(["orders-api.test.ts"]);
  });
});
