import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateBucketCommand, ListMultipartUploadsCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bucket, clientFor, contents, get, put } from "./s3-fixture.js";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "s3-test-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

describe("kill -9", () => {
  const children: ChildProcess[] = [];
  afterAll(() => {
    for (const child of children) child.kill("SIGKILL");
  });

  async function start(program: string, folder: string): Promise<{ child: ChildProcess; port: number }> {
    const child = spawn(process.execPath, [program, folder], { stdio: ["ignore", "pipe", "inherit"] });
    children.push(child);
    const port = await new Promise<number>((listening, failed) => {
      child.stdout?.once("data", (line) => listening(Number(line)));
      child.once("exit", () => failed(new Error("the server ended")));
    });
    return { child, port };
  }

  it("an acknowledged write is there afterwards, whole, and the next start is clean", async () => {
    const folder = join(directory, "killed");
    const source = `import http from "node:http"; import { openS3 } from "./lib/local/s3/server.js";
      const server = http.createServer(openS3({ directory: process.argv[2] ?? null }).handle);
      server.listen(0, "127.0.0.1", () => console.log((server.address() as { port: number }).port));`;
    const program = join(directory, "server.mjs");
    const stdin = { contents: source, loader: "ts" as const, resolveDir: join(import.meta.dirname, "../..") };
    await build({ stdin, bundle: true, platform: "node", format: "esm", outfile: program });

    const acknowledged = new Map<string, number>();
    const size = (turn: number) => (turn % 7 === 0 ? 700_000 : 2000);
    for (let round = 0; round < 3; round++) {
      const { child, port } = await start(program, folder);
      const client = clientFor(port);
      if (round === 0) await client.send(new CreateBucketCommand({ Bucket: bucket }));
      for (const [key, turn] of acknowledged) {
        const bytes = await get(client, key);
        const found = bytes.readUInt32BE(0);
        // The last write of a key may have happened without being acknowledged.
        expect([turn, turn + 1]).toContain(found);
        expect(bytes.equals(bodyOf(found, size(found)))).toBe(true);
        acknowledged.set(key, found);
      }
      const writers = Array.from({ length: 6 }, async (_, writer) => {
        for (let turn = 0; ; turn++) {
          const key = `w${writer}/k${turn % 10}`;
          const next = (acknowledged.get(key) ?? 0) + 1;
          await put(client, key, bodyOf(next, size(next)));
          acknowledged.set(key, next);
        }
      });
      const ended = Promise.allSettled(writers);
      await new Promise((later) => setTimeout(later, 700));
      child.kill("SIGKILL");
      await ended;
      client.destroy();
      expect([...acknowledged.values()].reduce((sum, turn) => sum + turn, 0)).toBeGreaterThan(50 * (round + 1));
    }
    const { child, port } = await start(program, folder);
    const client = clientFor(port);
    const listed = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
    expect(listed.KeyCount).toBeGreaterThanOrEqual(acknowledged.size);
    expect(await contents(folder)).toHaveLength(listed.KeyCount ?? 0);
    expect((await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))).Uploads).toBeUndefined();
    client.destroy();
    child.kill("SIGKILL");
  });

  function bodyOf(turn: number, bytes: number): Buffer {
    const body = Buffer.alloc(bytes, turn % 256);
    body.writeUInt32BE(turn);
    return body;
  }
});
