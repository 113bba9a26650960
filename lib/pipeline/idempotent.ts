import { invariant } from "../model/errors.js";
import type { Key } from "../model/keys.js";
import { checkFunction, refuse } from "./checks.js";
import { type Deletion, deletedKey } from "./deletion.js";
import type { EagerSink, EagerWriter, HeldSink, HeldWriter, Sink, SinkResources, VersionedRow } from "./sink.js";
import {
  checkDescription,
  letterReader,
  type OpenTarget,
  OpenTargets,
  type SinkDescription,
  type TargetResources,
} from "./sink-target.js";

/** One write of {@link idempotent}: the row of a key, or that it goes. */
export type KeyedWrite<Row, KeyPart = Row> = {
  /** What `key` said of the row. */
  readonly key: string;
  /**
   * 24 bytes that sort as bytes (as hex, text of them does too): of two writes of a key the one with the greater version is the
   * newer. The first six are the same in all writes of one pipeline, and differ between pipelines (W1).
   */
  readonly version: Uint8Array;
} & ({ readonly change: "put"; readonly row: Row } | { readonly change: "delete"; readonly row: KeyPart });

export interface IdempotentTarget<in Row, in KeyPart = Row> extends OpenTarget<Row> {
  /**
   * Writes, in the order of their versions, at most a thousand, each key once. It may be called again with the same writes, by
   * anyone, at any time, also when newer ones were made since: so each is made under the condition that what stands there is
   * older (or absent), and one that is refused because the same or a newer one stands there is done.
   *
   * @throws StreamError `invalid`, `corrupt`: the pipeline fails with this cause, and keeps what is not written; anything else is tried again
   */
  readonly apply: (writes: readonly KeyedWrite<Row, KeyPart>[]) => Promise<void>;
}

interface IdempotentOptions<in Row, in KeyPart> extends SinkDescription {
  /** What makes two rows the same. Of a deletion it gets the attributes that `deleted` was given. */
  readonly key: (row: KeyPart) => string;
  readonly open: (resources: TargetResources) => IdempotentTarget<Row, KeyPart>;
}

/** See {@link idempotent}. */
export type Idempotent<Row, KeyPart = Row> = IdempotentOptions<Row, KeyPart> &
  (
    | { readonly delivery?: "held" }
    | {
        readonly delivery: "eager";
        readonly stableKeys: true;
        /** What `key` says of a row with this key of the operator. */
        readonly keyFor: (key: Key) => string;
      }
  );

/**
 * A sink of rows by key, each write of which may be repeated: for a target that takes a row under a condition on a version that it
 * keeps beside it.
 *
 * tidemark keeps the rows of a checkpoint in the bucket, of each key the newest, and applies them once the checkpoint is complete, so
 * that a reader of the target sees the rows of complete checkpoints alone. `delivery: "eager"` writes them at once, as that of
 * `dynamoTable` does, with the same conditions (W3).
 *
 * @throws StreamError `invalid`: a member is missing, or of the wrong type
 * @example
 * const scores = idempotent<Score>({
 *   kind: "scores",
 *   key: ({ player }) => player,
 *   open: () => ({ apply: (writes) => database.upsertWhereOlder(writes) }),
 * });
 */
export function idempotent<Row extends KeyPart, KeyPart = Row>(
  sink: Idempotent<Row, KeyPart>,
): Sink<Row | Deletion<KeyPart>> {
  const { kind, config, redirectable } = checkDescription("idempotent", sink);
  checkKeys(`idempotent() "${kind}"`, sink);
  const keyOf = (row: Row | Deletion<KeyPart>) => sink.key((deletedKey(row) ?? row) as KeyPart);
  const open = (resources: SinkResources) => openKeyed(resources, sink);
  const letters = (resources: SinkResources) => letterReader(resources, sink);
  if (sink.delivery !== "eager")
    return { kind, config, redirectable, delivery: "held", keyOf, open, letters } satisfies HeldSink<Row>;
  const { keyFor } = sink;
  return { kind, config, redirectable, delivery: "eager", keyOf, keyFor, open } satisfies EagerSink<Row>;
}

/** For programs without types. */
function checkKeys(where: string, sink: Idempotent<never, never>): void {
  checkFunction(`${where}: key`, sink.key, "plain");
  const delivery: unknown = sink.delivery;
  if (delivery !== undefined && delivery !== "held" && delivery !== "eager")
    refuse(`${where}: delivery`, 'must be "held" or "eager"');
  if (sink.delivery !== "eager") return;
  checkFunction(`${where}: keyFor`, sink.keyFor, "plain");
  if (sink.stableKeys !== true)
    refuse(
      `${where}: delivery`,
      '"eager" is exact only where which keys are written depends neither on time nor on the order of arrival: say so with stableKeys: true (W3)',
    );
}

const writesMax = 1_000;

function openKeyed<Row, KeyPart>(resources: SinkResources, sink: Idempotent<Row, KeyPart>): HeldWriter & EagerWriter {
  const targets = new OpenTargets(resources, sink, sink.open);
  const { target } = targets;
  const validate = (row: unknown) => {
    if (deletedKey(row) === null) targets.at(target).validate?.(row as Row);
  };
  const apply = async (to: string, writes: readonly VersionedRow[]) => {
    const sorted = writes.map(keyedWrite<Row, KeyPart>).sort((a, b) => Buffer.compare(a.version, b.version));
    for (let from = 0; from < sorted.length; from += writesMax)
      await targets.repeat(to, "apply", (outside) => outside.apply(sorted.slice(from, from + writesMax)));
  };
  return {
    target,
    check: () => targets.once(target, "check", (outside) => outside.check?.()),
    close: () => targets.close(),
    validate,
    async apply(to, writes, permit) {
      const uncovered = writes.find((write) => write.checkpointId > permit.completed.checkpointId);
      invariant(uncovered === undefined, "C2: a row is committed whose checkpoint was not seen complete");
      await apply(to, writes);
    },
    async put(rows) {
      for (const { row, change } of rows) if (change === "put") validate(row);
      await apply(target, rows);
    },
  };
}

const keyedWrite = <Row, KeyPart>({ key, row, change, version }: VersionedRow): KeyedWrite<Row, KeyPart> =>
  change === "put" ? { key, version, change, row: row as Row } : { key, version, change, row: row as KeyPart };
