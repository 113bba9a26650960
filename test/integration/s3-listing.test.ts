import {
  CreateBucketCommand,
  DeleteObjectsCommand,
  ListObjectsCommand,
  type ListObjectsCommandInput,
  ListObjectsV2Command,
  type ListObjectsV2CommandInput,
} from "@aws-sdk/client-s3";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SortedKeys } from "../../lib/local/s3/sorted-keys.js";
import { bucket, type Running, refusal, startS3 } from "./s3-fixture.js";

interface Listing {
  readonly keys: readonly string[];
  readonly prefixes: readonly string[];
}

let s3: Running;
let buckets = 0;
beforeAll(async () => {
  s3 = await startS3();
});
afterAll(() => s3.stop());

/** A new bucket with these keys. */
async function filled(keys: readonly string[]): Promise<string> {
  const Bucket = `${bucket}-${buckets++}`;
  await s3.client.send(new CreateBucketCommand({ Bucket }));
  await Promise.all(keys.map((key) => s3.raw("PUT", `/${Bucket}/${encodeURIComponent(key)}`)));
  return Bucket;
}

async function pagesV2(input: ListObjectsV2CommandInput): Promise<Listing & { readonly pages: number }> {
  const listing = { keys: [] as string[], prefixes: [] as string[], pages: 0 };
  for (let ContinuationToken: string | undefined; ; ) {
    const page = await s3.client.send(new ListObjectsV2Command({ ...input, ContinuationToken }));
    const [keys, prefixes] = [page.Contents ?? [], page.CommonPrefixes ?? []];
    listing.keys.push(...keys.map(({ Key }) => Key ?? ""));
    listing.prefixes.push(...prefixes.map(({ Prefix }) => Prefix ?? ""));
    listing.pages++;
    expect(page.KeyCount).toBe(keys.length + prefixes.length);
    expect(page.KeyCount).toBeLessThanOrEqual(input.MaxKeys ?? 1000);
    expect(page.IsTruncated).toBe(page.NextContinuationToken !== undefined);
    if (!page.IsTruncated) return listing;
    expect(page.KeyCount).toBe(input.MaxKeys ?? 1000);
    ContinuationToken = page.NextContinuationToken;
  }
}

async function pagesV1(input: ListObjectsCommandInput): Promise<Listing> {
  const listing = { keys: [] as string[], prefixes: [] as string[] };
  for (let Marker = input.Marker; ; ) {
    const page = await s3.client.send(new ListObjectsCommand({ ...input, Marker }));
    listing.keys.push(...(page.Contents ?? []).map(({ Key }) => Key ?? ""));
    listing.prefixes.push(...(page.CommonPrefixes ?? []).map(({ Prefix }) => Prefix ?? ""));
    if (!page.IsTruncated) return listing;
    Marker = page.NextMarker ?? page.Contents?.at(-1)?.Key;
  }
}

/** What a listing must be, found the slow way. */
function model(keys: readonly string[], list: { prefix: string; delimiter: string; after: string }): Listing {
  const bytes = (text: string) => Buffer.from(text, "utf8");
  const rest = [...new Set(keys)]
    .sort((left, right) => Buffer.compare(bytes(left), bytes(right)))
    .filter((key) => key.startsWith(list.prefix) && Buffer.compare(bytes(key), bytes(list.after)) > 0);
  const common = (key: string) => {
    const at = list.delimiter === "" ? -1 : key.indexOf(list.delimiter, list.prefix.length);
    return at < 0 ? null : key.slice(0, at + list.delimiter.length);
  };
  const prefixes = rest.flatMap((key) => common(key) ?? []).filter((prefix) => prefix !== list.after);
  return { keys: rest.filter((key) => common(key) === null), prefixes: [...new Set(prefixes)] };
}

describe("any listing, in any pages, is what the model says", () => {
  const character = fc.constantFrom("a", "b", "/", "!", "0", "é", "\uffee", "𝒳", "-", " ", "&");
  const text = (maxLength: number) => fc.array(character, { maxLength }).map((parts) => parts.join(""));
  const key = text(6).filter((name) => name !== "" && !/^\s+$/.test(name));
  const list = fc.record({
    keys: fc.array(key, { maxLength: 25, size: "max" }),
    prefix: text(2),
    delimiter: fc.constantFrom("", "/", "a", "//", "𝒳"),
    after: fc.oneof(fc.constant(""), text(3)),
    MaxKeys: fc.integer({ min: 1, max: 9 }),
  });

  it("with version 2", async () => {
    await fc.assert(
      fc.asyncProperty(list, async ({ keys, prefix, delimiter, after, MaxKeys }) => {
        const Bucket = await filled(keys);
        const given = { Bucket, Prefix: prefix, Delimiter: delimiter, StartAfter: after, MaxKeys };
        const found = await pagesV2(given);
        const expected = model(keys, { prefix, delimiter, after });
        expect({ keys: found.keys, prefixes: found.prefixes }).toEqual(expected);
        const count = expected.keys.length + expected.prefixes.length;
        expect(found.pages).toBe(Math.max(1, Math.ceil(count / MaxKeys)));
      }),
      { numRuns: 60 },
    );
  });

  it("with version 1", async () => {
    await fc.assert(
      fc.asyncProperty(list, async ({ keys, prefix, delimiter, after, MaxKeys }) => {
        const Bucket = await filled(keys);
        const found = await pagesV1({ Bucket, Prefix: prefix, Delimiter: delimiter, Marker: after, MaxKeys });
        expect(found).toEqual(model(keys, { prefix, delimiter, after }));
      }),
      { numRuns: 60 },
    );
  });
});

it("the sorted keys are what a set of them is, however they are added, removed and looked at", () => {
  const key = fc
    .array(fc.constantFrom("a", "b", "\uffee", "𝒳"), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.join(""));
  const change = fc.oneof(
    fc.record({ kind: fc.constant("add"), keys: fc.array(key, { maxLength: 150, size: "max" }) }),
    fc.record({ kind: fc.constant("remove"), keys: fc.array(key, { maxLength: 20 }) }),
    fc.record({ kind: fc.constant("look"), keys: fc.constant([]) }),
  );
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
      const sorted = new SortedKeys();
      const there = new Set<string>();
      const expected = () => [...there].sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
      for (const { kind, keys } of changes) {
        if (kind === "look") expect(sorted.all()).toEqual(expected());
        for (const name of keys) {
          if (kind === "add" && !there.has(name)) sorted.add(name);
          if (kind === "add") there.add(name);
          if (kind === "remove") sorted.remove(name);
          if (kind === "remove") there.delete(name);
        }
      }
      expect(sorted.all()).toEqual(expected());
    }),
    { numRuns: 300 },
  );
});

it("the order is that of the UTF-8 bytes", async () => {
  const keys = ["a", "a!x", "a/1", "a/10", "a/2", "a0", "b", "é", "\uffee", "𝒳"];
  const Bucket = await filled([...keys].reverse());
  expect((await pagesV2({ Bucket, MaxKeys: 3 })).keys).toEqual(keys);
});

it("keys that come and go between pages neither hide others nor double them", async () => {
  const Bucket = await filled(["b", "d", "f", "h"]);
  const first = await s3.client.send(new ListObjectsV2Command({ Bucket, MaxKeys: 2 }));
  await s3.raw("PUT", `/${Bucket}/a`);
  await s3.raw("PUT", `/${Bucket}/e`);
  await s3.raw("DELETE", `/${Bucket}/d`);
  const ContinuationToken = first.NextContinuationToken;
  const second = await s3.client.send(new ListObjectsV2Command({ Bucket, ContinuationToken }));
  expect(second.Contents?.map(({ Key }) => Key)).toEqual(["e", "f", "h"]);
});

it("a page has at most 1,000 keys, and answers what it was asked", async () => {
  const keys = Array.from({ length: 1203 }, (_, index) => `k/${String(index).padStart(4, "0")}`);
  const Bucket = await filled(keys);
  const page = await s3.client.send(
    new ListObjectsV2Command({ Bucket, MaxKeys: 5000, FetchOwner: true, Prefix: "k/" }),
  );
  expect(page).toMatchObject({ Name: Bucket, Prefix: "k/", MaxKeys: 1000, KeyCount: 1000, IsTruncated: true });
  expect(page.Contents?.[0]).toMatchObject({
    Key: "k/0000",
    Size: 0,
    ETag: '"d41d8cd98f00b204e9800998ecf8427e"',
    StorageClass: "STANDARD",
    Owner: { ID: "local" },
  });
  expect((await pagesV2({ Bucket })).keys).toEqual(keys);
  const Objects = keys.slice(0, 1000).map((Key) => ({ Key }));
  await s3.client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }));
  expect((await pagesV2({ Bucket })).keys).toEqual(keys.slice(1000));
});

it("max-keys=0 is an empty page that is not truncated", async () => {
  const Bucket = await filled(["a"]);
  const page = await s3.client.send(new ListObjectsV2Command({ Bucket, MaxKeys: 0 }));
  expect(page).toMatchObject({ KeyCount: 0, IsTruncated: false });
});

it("encoding-type=url encodes keys, prefixes and markers", async () => {
  const Bucket = await filled(["p q/r+s/ü", "p q/t&"]);
  const raw = await s3.raw("GET", `/${Bucket}?list-type=2&encoding-type=url&prefix=p%20q%2F&delimiter=%2F`);
  expect(raw.text).toContain("<EncodingType>url</EncodingType>");
  expect(raw.text).toContain("<Prefix>p%20q/</Prefix><Delimiter>/</Delimiter>");
  expect(raw.text).toContain("<Key>p%20q/t%26</Key>");
  expect(raw.text).toContain("<CommonPrefixes><Prefix>p%20q/r%2Bs/</Prefix></CommonPrefixes>");
});

it("arguments that make no sense are refused", async () => {
  const Bucket = await filled([]);
  for (const query of [
    "max-keys=-1",
    "max-keys=x",
    "max-keys=99999999999",
    "continuation-token=%00",
    "encoding-type=base64",
  ]) {
    const raw = await s3.raw("GET", `/${Bucket}?list-type=2&${query}`);
    expect([query, raw.status]).toEqual([query, 400]);
    expect(raw.text).toContain("<Code>InvalidArgument</Code>");
  }
  const absent = s3.client.send(new ListObjectsV2Command({ Bucket: "no-such-bucket" }));
  expect(await refusal(absent)).toEqual({ name: "NoSuchBucket", status: 404 });
});
