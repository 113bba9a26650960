// The tests in docs/testing.md are tests: they run here, as their readers would run them.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { testsIn } from "../docs/runnable.js";

const { names, outfile } = await testsIn("docs/testing.md");
describe("docs/testing.md", async () => {
  await import(/* @vite-ignore */ pathToFileURL(outfile).href);
  await rm(join(outfile, ".."), { recursive: true });

  it("has tests", () => {
    expect(names).toEqual(["orders.test.ts", "wrong.test.ts", "faults.test.ts", "sink.test.ts"]);
  });
});
