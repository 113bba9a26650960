import type { StandardSchemaV1 } from "@standard-schema/spec";
import { StreamError } from "./errors.js";

const issuesShownMax = 8;

/** What the validator makes of a value. Throws `invalid`, with the paths of the issues and never with a value. */
export function validated(standard: StandardSchemaV1["~standard"], value: unknown): unknown {
  const result = validate(standard, value);
  if (isThenable(result)) {
    result.then(undefined, () => undefined);
    throw new StreamError(
      "invalid",
      `the validator (${standard.vendor}) is asynchronous; use one that answers at once`,
    );
  }
  if (result.issues === undefined) return result.value;
  const shown = result.issues.slice(0, issuesShownMax).map((issue) => pathText(issue.path ?? []));
  const more = result.issues.length - shown.length;
  throw new StreamError(
    "invalid",
    `the record is not what its schema (${standard.vendor}) says, at ${[...new Set(shown)].join(", ")}${more > 0 ? ` and ${more} more` : ""}`,
  );
}

type Validation = ReturnType<StandardSchemaV1["~standard"]["validate"]>;

function validate(standard: StandardSchemaV1["~standard"], value: unknown): Validation {
  try {
    return standard.validate(value);
  } catch {
    // Its message may quote the record, and so may its stack, which begins with the message.
    throw new StreamError("invalid", `the validator (${standard.vendor}) threw instead of reporting issues`);
  }
}

function isThenable(result: Validation): result is Promise<Awaited<Validation>> {
  return "then" in result && typeof result.then === "function";
}

/** A path such as `legs[2].origin`. Members that do not look like names of a schema may be data: keys of a map, for instance. */
function pathText(path: NonNullable<StandardSchemaV1.Issue["path"]>): string {
  const parts = path.map((segment) => {
    const key = typeof segment === "object" ? segment.key : segment;
    if (typeof key === "number") return `[${key}]`;
    return typeof key === "string" && /^[A-Za-z_$][\w$-]{0,63}$/.test(key) ? `.${key}` : "[…]";
  });
  return parts.length === 0 ? "the record itself" : parts.join("").replace(/^\./, "");
}
