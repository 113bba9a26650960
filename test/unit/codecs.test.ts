import fc from "fast-check";
import { bytes, type Codec, json, StreamError, text } from "tidemark";
import { describe, expect, it } from "vitest";
import { z } from "zod";

const utf8 = (written: string) => new TextEncoder().encode(written);

/** What the codec says of bytes that it refuses, with everything that a log would print of the error. */
function refusal(codec: Codec<unknown>, body: Uint8Array): string {
  try {
    codec.decode(body);
  } catch (error) {
    expect(error).toBeInstanceOf(StreamError);
    expect((error as StreamError).kind).toBe("invalid");
    expect((error as StreamError).cause).toBeUndefined();
    return (error as StreamError).message;
  }
  throw new Error("nothing was thrown");
}

describe("json", () => {
  it("any JSON value comes back", () => {
    // JSON.parse gives an own member "__proto__", which the codec leaves out.
    const clean = (value: unknown): boolean =>
      typeof value !== "object" ||
      value === null ||
      (!Object.hasOwn(value, "__proto__") && Object.values(value).every(clean));
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }).filter(clean), (value) => {
        const back = json().decode(json().encode(value));
        expect(JSON.stringify(back)).toBe(JSON.stringify(value));
      }),
    );
  });

  it("a byte order mark before the record is dropped", () => {
    expect(json().decode(utf8('\uFEFF{"a":1}'))).toEqual({ a: 1 });
  });

  it("the schema's output is what is decoded", () => {
    const codec = json(z.object({ id: z.string(), n: z.coerce.number(), kind: z.string().default("none") }));
    expect(codec.decode(utf8('{"id":"a","n":"7","more":1}'))).toEqual({ id: "a", n: 7, kind: "none" });
  });

  it("what is no JSON is refused without a word of it", () => {
    for (const body of ["", "secret", '{"card":4111secret}', '["secret"', '{"a":1} secret at position 4111', "nul"]) {
      const message = refusal(json(), utf8(body));
      expect(message).toContain(`the record (${body.length} bytes) is not JSON`);
      expect(message).not.toMatch(/secret|4111|card/);
    }
  });

  it("the place is told where the parser tells it", () => {
    expect(refusal(json(), utf8('{"secret" 1}'))).toBe("the record (12 bytes) is not JSON, wrong at character 10");
  });

  it("what is no UTF-8 is refused, by json and by text", () => {
    for (const codec of [json(), text]) {
      expect(refusal(codec, Uint8Array.of(0x22, 0xc3, 0x28, 0x22))).toBe("the record (4 bytes) is not UTF-8");
      expect(refusal(codec, Uint8Array.of(0xed, 0xa0, 0x80))).toContain("not UTF-8");
    }
  });

  it("issues are told by their paths, and never with a value or a validator's words", () => {
    const schema = z.object({
      origin: z.string(),
      legs: z.array(z.object({ miles: z.number().refine((n) => n > 0, { error: (issue) => `got ${issue.input}` }) })),
      byOwner: z.record(z.string(), z.number()),
    });
    const body = { origin: 4111, legs: [{ miles: 1 }, { miles: -5222 }], byOwner: { "bob@secret.example": "s3cret" } };
    const message = refusal(json(schema), utf8(JSON.stringify(body)));
    expect(message).toBe("the record is not what its schema (zod) says, at origin, legs[1].miles, byOwner[…]");
  });

  it("an issue of the record itself, path segments that are objects, and more issues than are shown", () => {
    const saying = (
      issues: readonly { readonly message: string; readonly path?: readonly (PropertyKey | { key: PropertyKey })[] }[],
    ) => refusal(json({ "~standard": { version: 1, vendor: "own", validate: () => ({ issues }) } }), utf8("1"));
    expect(saying([{ message: "secret" }])).toBe("the record is not what its schema (own) says, at the record itself");
    expect(saying([{ message: "", path: [{ key: "a" }, 3, "b", Symbol("s")] }])).toContain(" at a[3].b[…]");
    const many = Array.from({ length: 11 }, (_, index) => ({ message: "", path: [`m${index}`] }));
    expect(saying(many)).toMatch(/at m0, m1, m2, m3, m4, m5, m6, m7 and 3 more$/);
  });

  it("a validator that is asynchronous, or throws, is told as such", async () => {
    const later = json(z.string().refine(async () => false));
    expect(refusal(later, utf8('"a"'))).toBe("the validator (zod) is asynchronous; use one that answers at once");
    const validate = (value: unknown) => {
      throw new TypeError(`cannot read ${value}`);
    };
    const throwing = json({ "~standard": { version: 1, vendor: "own", validate } });
    expect(refusal(throwing, utf8('"secret"'))).toBe("the validator (own) threw instead of reporting issues");
    // A rejection of the promise that nobody waits for would end the process.
    const rejecting = json({
      "~standard": { version: 1, vendor: "own", validate: () => Promise.reject(new Error("late")) },
    });
    expect(refusal(rejecting, utf8("1"))).toContain("asynchronous");
    await new Promise((done) => setImmediate(done));
  });

  it("what is no schema is refused when the codec is made", () => {
    for (const wrong of [null, {}, 7, { "~standard": {} }]) {
      expect(() => (json as (schema: unknown) => unknown)(wrong)).toThrow(/is no schema/);
    }
  });

  it.each([
    ["plain", '{"__proto__":{"admin":true},"a":1}'],
    ["nested", '{"a":1,"b":[{"__proto__":{"admin":true}}]}'],
    ["escaped", '{"\\u005f_proto_\\u005F":{"admin":true},"a":1}'],
    ["escaped in a letter", '{"__\\u0070roto__":{"admin":true},"a":1}'],
  ])("a member __proto__ pollutes nothing: %s", (_, body) => {
    const decoded = json<Record<string, unknown>>().decode(utf8(body));
    const copied: Record<string, unknown> = {};
    // As careless code does it: this is where an own member "__proto__" becomes a prototype.
    for (const name in decoded) copied[name] = decoded[name];
    const nested = (decoded.b as object[] | undefined)?.[0] ?? {};
    for (const object of [decoded, copied, Object.assign({}, decoded), Object.assign({}, nested), {}]) {
      expect((object as { admin?: boolean }).admin).toBeUndefined();
      expect(Object.getPrototypeOf(object)).toBe(Object.prototype);
    }
    expect(decoded.a).toBe(1);
  });

  it("what JSON cannot hold is not encoded", () => {
    for (const value of [undefined, () => {}, Symbol("s")]) expect(() => json().encode(value)).toThrow(StreamError);
  });
});

describe("text and bytes", () => {
  it("any well-formed text comes back, with its byte order mark", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (written) => {
        expect(text.decode(text.encode(written))).toBe(written);
      }),
    );
    expect(text.decode(text.encode("\uFEFFa"))).toBe("\uFEFFa");
  });

  it("a lone surrogate, or what is no text, is not encoded", () => {
    expect(() => text.encode("a\uD800")).toThrow(StreamError);
    expect(() => text.encode(7 as unknown as string)).toThrow(StreamError);
  });

  it("bytes are given on as they are", () => {
    const body = Uint8Array.of(0, 255, 128);
    expect(bytes.decode(body)).toBe(body);
    expect(bytes.encode(body)).toBe(body);
    expect(() => bytes.encode("a" as unknown as Uint8Array)).toThrow(StreamError);
  });
});

it("codecs have names, which are part of a pipeline's fingerprint", () => {
  expect([json().name, json(z.string()).name, text.name, bytes.name]).toEqual(["json", "json", "text", "bytes"]);
});
