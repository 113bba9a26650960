import { expect, it } from "vitest";
import { asStreamError, StreamError } from "../../lib/model/errors.js";

it("errors are known for what they are, whichever copy of the library made them", async () => {
  const copy = (await import(/* @vite-ignore */ `${"../../lib/model/errors.js"}?copy`)) as {
    readonly StreamError: typeof StreamError;
  };
  expect(copy.StreamError).not.toBe(StreamError);
  const error: unknown = new copy.StreamError("invalid", "refused");
  expect(error).toBeInstanceOf(StreamError);
  expect(asStreamError(error)).toBe(error);
  expect(new StreamError("bug", "ours")).toBeInstanceOf(copy.StreamError);
});

it.each([[new Error("other")], [null], ["text"], [{ kind: "invalid", message: "alike" }]])(
  "%o is none of them",
  (value) => {
    expect(value).not.toBeInstanceOf(StreamError);
    expect(asStreamError(value).kind).toBe("bug");
  },
);
