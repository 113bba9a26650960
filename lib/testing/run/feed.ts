import { asStreamError, StreamError } from "../../model/errors.js";
import { sha256 } from "../../model/sha256.js";
import type { Plan } from "../../pipeline/plan.js";
import { filePath } from "../../pipeline/source.js";
import type { Files } from "../../ports/files.js";
import type { MemoryLogControl } from "../memory/log.js";
import type { Random } from "../seeded/random.js";
import type { Timeline } from "../seeded/scheduler.js";

/** Input by source name: decoded values, in their order. */
export type AnyInput = Readonly<Record<string, readonly unknown[]>>;
export type AnyPartitionKeys = Readonly<Record<string, ((value: never) => string) | undefined>>;

export interface FeedOptions {
  readonly shards: number;
  readonly partitionKeys: AnyPartitionKeys;
  /** From now on, until then the records arrive. */
  readonly lengthMillis: number;
}

export interface FeedTargets {
  readonly streams: MemoryLogControl;
  readonly files: Files;
  readonly timeline: Timeline;
}

/**
 * Puts the records into streams in memory, one stream a source, at times that the seed draws, in their order; and those of file
 * sources into files.
 */
export async function feed(
  plan: Plan,
  input: AnyInput,
  targets: FeedTargets,
  random: Random,
  options: FeedOptions,
): Promise<void> {
  checkNames(plan, input);
  for (const [name, source] of plan.sources) {
    const values = input[name] ?? [];
    const records = values.map((value, index) =>
      encoded(`source "${name}", input ${index}`, () => source.codec.encode(value)),
    );
    const path = filePath(source.config.stream);
    if (path !== null) {
      await targets.files.write(path, 0, Buffer.concat(records.map((bytes) => Buffer.concat([bytes, lineEnd]))));
      continue;
    }
    targets.streams.createStream(name, options.shards);
    const keyOf = options.partitionKeys[name];
    const times = values.map(() => random.int(options.lengthMillis)).sort((a, b) => a - b);
    for (const [index, bytes] of records.entries()) {
      const key = keyOf?.(values[index] as never) ?? sha256(bytes);
      targets.timeline.after(times[index] ?? 0, () => targets.streams.put(name, key, bytes));
    }
  }
}

const lineEnd = Buffer.from("\n");

function checkNames(plan: Plan, input: AnyInput): void {
  const names = [...plan.sources.keys()];
  const missing = names.find((name) => !Array.isArray(input[name]));
  const unknown = Object.keys(input).find((name) => !plan.sources.has(name));
  const known = names.map((name) => `"${name}"`).join(", ");
  if (missing !== undefined)
    throw new StreamError("invalid", `runPipeline(): no array of records for the source "${missing}"; it has ${known}`);
  if (unknown !== undefined)
    throw new StreamError("invalid", `runPipeline(): there is no source "${unknown}"; the pipeline has ${known}`);
}

function encoded(where: string, encode: () => Uint8Array): Uint8Array {
  try {
    return encode();
  } catch (error) {
    const { kind, message } = asStreamError(error);
    throw new StreamError(kind === "bug" ? "invalid" : kind, `${where} cannot be encoded: ${message}`, {
      cause: error,
    });
  }
}
