// The JSON of `tidemark state`: what state holds comes back from it as it was.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stateJson, valueOfStateJson } from "../../lib/state/state-json.js";
import { anyKey, anyValue } from "./state-samples.js";

const back = (value: unknown) => valueOfStateJson(JSON.parse(stateJson(value)));

describe("values of state as JSON", () => {
  it("come back as they were, whatever they are, on one line", () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        expect(stateJson(value)).not.toContain("\n");
        expect(back(value)).toStrictEqual(value);
      }),
      { numRuns: 300 },
    );
  });

  it("are plain where JSON has the form, and one member beginning with $ where it has not", () => {
    const written: readonly (readonly [unknown, string])[] = [
      [{ n: 1, s: "a", l: [true, null] }, '{"n":1,"s":"a","l":[true,null]}'],
      [12n, '{"$bigint":"12"}'],
      [Number.NaN, '{"$number":"NaN"}'],
      [-0, '{"$number":"-0"}'],
      [undefined, '{"$undefined":true}'],
      [Uint8Array.of(1, 2, 255), '{"$bytes":"AQL/"}'],
      [new Date(0), '{"$date":"1970-01-01T00:00:00.000Z"}'],
      [new Date(Number.NaN), '{"$date":null}'],
      [new Map([[1, 2n]]), '{"$map":[[1,{"$bigint":"2"}]]}'],
      [new Set(["a"]), '{"$set":["a"]}'],
      [{ $date: 1 }, '{"$$date":1}'],
      [{ $$date: 1 }, '{"$$$date":1}'],
      [{ $a: 1, b: 2 }, '{"$a":1,"b":2}'],
    ];
    for (const [value, text] of written) {
      expect(stateJson(value)).toBe(text);
      expect(back(value)).toStrictEqual(value);
    }
  });

  it("keys too", () => {
    fc.assert(
      fc.property(anyKey, (key) => {
        expect(back(key)).toStrictEqual(key);
      }),
    );
  });

  it("refuse what is none of the forms, and say which there are", () => {
    for (const text of ['{"$bigint":"1.5"}', '{"$foo":1}', '{"$date":"yesterday"}', '{"$map":[[1]]}', '{"$number":1}'])
      expect(() => valueOfStateJson(JSON.parse(text))).toThrow(/is no value: the forms are \$number, \$bigint/);
  });
});
