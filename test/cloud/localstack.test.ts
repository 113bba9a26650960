import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { findTools } from "./localstack/tools.js";
import { zipOf } from "./localstack/zip.js";

const newFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-tools-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
};

describe("what LocalStack needs", () => {
  afterEach(() => vi.unstubAllEnvs());

  it("is told with all that is missing, and with the ways out", async () => {
    vi.stubEnv("PATH", newFolder());
    const missing = findTools({ maven: true });
    await expect(missing).rejects.toThrow(/Python 3\.11 or later.*Java 17 or later.*Maven/);
    await expect(missing).rejects.toThrow(/docker compose up.*\n.*--embedded/);
  });

  it("is not Maven, once it is set up; and an old Java is none", async () => {
    const folder = newFolder();
    writeFileSync(
      join(folder, "java"),
      "#!/bin/sh\necho '    java.specification.version = 11'\necho '    java.home = /j'\n",
      { mode: 0o755 },
    );
    vi.stubEnv("PATH", `${folder}:/usr/bin:/bin`);
    const missing = findTools({ maven: false });
    await expect(missing).rejects.toThrow("Java 17 or later");
    await expect(missing).rejects.not.toThrow("Maven");
  });
});

it("an archive is one that others read", () => {
  const path = join(newFolder(), "a.zip");
  const files = {
    "index.js": "exports.é = '\u{1f600}';\n",
    "folder/bytes": Uint8Array.from([0, 255, 10, 13]),
    empty: "",
  };
  writeFileSync(path, zipOf(files));
  const script = `import json, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
assert archive.testzip() is None
print(json.dumps({name: archive.read(name).hex() for name in archive.namelist()}))`;
  const { stdout, stderr } = spawnSync("python3", ["-c", script, path], { encoding: "utf8" });
  const expected = Object.entries(files).map(([name, content]) => [name, Buffer.from(content).toString("hex")]);
  expect(JSON.parse(stdout || stderr)).toEqual(Object.fromEntries(expected));
});
