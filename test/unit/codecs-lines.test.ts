import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { bytes, type Codec, json, StreamError, text } from "tidemark";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { lineDecoder, lineWriter } from "../../lib/model/lines.js";

const utf8 = (written: string) => new TextEncoder().encode(written);

/** Every line of a block, each through the one reader of it. The last line may lack its line feed. */
function lines<T>(codec: Codec<T>, block: string): T[] {
  const read = lineDecoder(codec).block(block);
  const found: T[] = [];
  for (let from = 0; from < block.length; ) {
    const end = block.indexOf("\n", from);
    found.push(read(from, end < 0 ? block.length : end));
    from = end < 0 ? block.length : end + 1;
  }
  return found;
}

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(StreamError);
    expect((error as StreamError).kind).toBe("invalid");
    return (error as StreamError).message;
  }
  throw new Error("nothing was thrown");
}

const reversed: Codec<string> = {
  name: "reversed",
  decode: (body) => new TextDecoder().decode(body).split("").reverse().join(""),
  encode: (value) => utf8(value.split("").reverse().join("")),
};

/** The line that a codec's writer writes. */
const lineText =
  <T>(codec: Codec<T>) =>
  (value: T): string => {
    const into = Buffer.alloc(1 << 20);
    return into.subarray(0, lineWriter(codec)(value, into, 0)).toString("utf8");
  };

describe("lines", () => {
  it("say what the bytes of the same line say, whatever the codec", () => {
    const line = fc.oneof(
      fc.json(),
      fc.string({ unit: "grapheme" }),
      fc.constantFrom(
        '{"__proto__":{"a":1},"b":2}',
        '{"\\u005f_proto__":1}',
        '\uFEFF{"a":1}',
        "\uFEFF\uFEFF1",
        "",
        " 1\r",
      ),
    );
    const codecs: Codec<unknown>[] = [json(), json(z.object({ a: z.number() })), text, reversed, bytes];
    const said = (act: () => unknown) => {
      try {
        return { value: act() };
      } catch (error) {
        // The size is in bytes there, in characters here.
        return { refused: (error as StreamError).message.replace(/\(\d+ \w+\)/, "").replace(/, wrong at.*/, "") };
      }
    };
    fc.assert(
      fc.property(fc.constantFrom(...codecs), fc.array(line, { maxLength: 5 }), (codec, written) => {
        const kept = written.map((one) => one.replaceAll("\n", " "));
        const read = lineDecoder(codec).block(kept.join("\n"));
        let from = 0;
        for (const one of kept) {
          const byLine = said(() => read(from, from + one.length));
          expect(byLine).toEqual(said(() => codec.decode(utf8(one))));
          from += one.length + 1;
        }
      }),
    );
  });

  it("that are no JSON are refused with their place, and without a word of them", () => {
    const message = refusal(() => lines(json(), '{"a":1}\n{"secret" 1}\n'));
    expect(message).toBe("the record (12 characters) is not JSON, wrong at character 10");
  });

  it("of one block with __proto__ in it are all read without it", () => {
    const [first, second] = lines(json<Record<string, unknown>>(), '{"a":1}\n{"__proto__":{"admin":true},"a":2}\n');
    expect(first).toEqual({ a: 1 });
    expect(second).toEqual({ a: 2 });
    expect(Object.hasOwn(second ?? {}, "__proto__")).toBe(false);
  });

  it("of a codec that was changed are read by its new decode", () => {
    const shouting: Codec<string> = { ...text, decode: (body) => text.decode(body).toUpperCase() };
    expect(lines(shouting, "a\nb")).toEqual(["A", "B"]);
  });

  it("do not keep their block in memory", () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const kept: unknown[] = [];
    collect();
    const before = process.memoryUsage().heapUsed;
    const name = "a name of more than a dozen characters";
    for (let block = 0; block < 64; block++) {
      const written = `${JSON.stringify({ name })}\n${"x".repeat(1 << 20)}`;
      for (const codec of [text, json()]) kept.push(lineDecoder(codec).block(written)(0, written.indexOf("\n")));
    }
    collect();
    expect(kept).toHaveLength(128);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(32 << 20);
  });
});

describe("values as lines", () => {
  it("come back, and stand in one line", () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const line = lineText(json())(value);
        expect(line).toBe(JSON.stringify(value));
        expect(line).not.toMatch(/[\n\r]/);
      }),
    );
    expect(lineText(text)("a\rb")).toBe("a\rb");
    expect(lineText(reversed)("abc")).toBe("cba");
    expect(lines(reversed, "cba")).toEqual(["abc"]);
  });

  it("that no line can hold are refused", () => {
    const cycle: unknown[] = [];
    cycle.push(cycle);
    for (const value of [undefined, () => {}, 1n, cycle]) {
      expect(refusal(() => lineText(json())(value))).toMatch(/^json: /);
    }
    expect(refusal(() => lineText(text)("a\nb"))).toContain("has a line feed");
    expect(refusal(() => lineText(text)("\uD800"))).toContain("lone surrogate");
    expect(refusal(() => lineText(bytes)(utf8("a\n")))).toContain("bytes: the value has a line feed");
    expect(refusal(() => lineText(bytes)(Uint8Array.of(255)))).toContain("not UTF-8");
  });
});

it("bytes that are no UTF-8 leave nothing behind for the next record", () => {
  for (const codec of [json(), text]) {
    for (const bad of [Uint8Array.of(0x22, 0xc3), Uint8Array.of(0xf0, 0x9f), Uint8Array.of(0xef, 0xbb)]) {
      expect(refusal(() => codec.decode(bad))).toBe(`the record (${bad.length} bytes) is not UTF-8`);
      expect(codec.decode(utf8('"é"'))).toBe(codec === text ? '"é"' : "é");
    }
  }
});
