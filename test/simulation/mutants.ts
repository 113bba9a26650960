/** A rule broken on purpose: one piece of the real code, replaced while it is bundled. The files stay as they are. */
export interface Mutant {
  /** The rule, and how it is broken. */
  readonly name: string;
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  /** The service that is slow in every seed, where what the rule guards against is rare otherwise. */
  readonly slowService?: "tables";
  /** The first seed that finds it. */
  readonly seed: number;
}

export const mutants: readonly Mutant[] = [
  {
    name: "C1 an ack lists only what is new",
    file: "lib/runtime/session.ts",
    find: "const committables = [...this.#committables, ...durable.prepared];",
    replace: "const committables = durable.prepared;",
    slowService: "tables",
    seed: 644,
  },
  {
    name: "C1 what an aborted checkpoint prepared is forgotten",
    file: "lib/runtime/session.ts",
    find: "this.#committables = [...this.#committables, ...prepared];",
    replace:
      "this.#committables = [...this.#committables.filter((item) => item.checkpointId <= (this.#head.completed?.checkpointId ?? 0)), ...prepared];",
    seed: 15,
  },
  {
    name: "C2 commits before the checkpoint is complete",
    file: "lib/checkpoint/permit.ts",
    find: "item.checkpointId <= permit.completed.checkpointId",
    replace: "item.checkpointId <= permit.completed.checkpointId + 1",
    seed: 8,
  },
  {
    name: "C2 commits in whatever order",
    file: "lib/checkpoint/permit.ts",
    find: "a.checkpointId - b.checkpointId || a.index - b.index",
    replace: "b.checkpointId - a.checkpointId || a.index - b.index",
    seed: 28,
  },
  {
    name: "C2 a restored task does not commit what its origin covers",
    file: "lib/runtime/restore.ts",
    find: "    committables: await loadList(store, ack),",
    replace: "    committables: fromHandover ? await loadList(store, ack) : [],",
    seed: 9,
  },
  {
    name: "C3 a session goes on after its ack of a stop",
    file: "lib/runtime/phase.ts",
    find: `if (pending.andThen !== "continue") return { kind: "waiting", checkpointId: pending.checkpointId };`,
    replace: "",
    seed: 3,
  },
  {
    name: "R1 complete without a condition",
    file: "lib/checkpoint/store.ts",
    find: "store.registers.swap(at(store, names.headName), expected, encodeDocument(head));",
    replace:
      "readHead(store).then((found) => store.registers.swap(at(store, names.headName), found?.version ?? null, encodeDocument(head)));",
    seed: 2,
  },
  {
    name: "B4 the ack of the checkpoint before counts for the next",
    file: "lib/checkpoint/fold.ts",
    find: "(isDone ? finishedAck(record, previous, task) : undefined)",
    replace: "previous?.tasks.find((ack) => ack.task === task)",
    seed: 1,
  },
  {
    name: "R2 an opening keeps what is pending",
    file: "lib/checkpoint/transitions.ts",
    find: "    pending: null,\n    completed: opening.origin,",
    replace: "    completed: opening.origin,",
    seed: 11,
  },
  {
    name: "R2 a session of an old generation goes on",
    file: "lib/runtime/session.ts",
    find: "      head.value.generation !== this.#me.generation ||\n",
    replace: "",
    seed: 17,
  },
  {
    name: "R4 the session id comes with the invocation",
    file: "lib/runtime/run-session.ts",
    find: `sessionId(Buffer.from(store.clock.random(8)).toString("hex"))`,
    replace: "sessionId(execution.requestId)",
    seed: 43,
  },
  {
    name: "R4 the lease is taken from whatever version",
    file: "lib/checkpoint/lease.ts",
    find: "const expected = invocation.leaseVersion === 0 ? null : invocation.leaseVersion;",
    replace:
      "const expected = (await readLease(store, invocation.incarnation, invocation.generation, invocation.task))?.version ?? null;",
    seed: 34,
  },
  {
    name: "R5 a lost claim is taken for won",
    file: "lib/checkpoint/lease.ts",
    find: `(error.kind === "ambiguous" || error.kind === "transient")) return "unknown";`,
    replace: `(error.kind === "ambiguous" || error.kind === "transient")) return "swapped";`,
    seed: 18,
  },
  {
    name: "R5 a release is passed on before it is answered",
    file: "lib/runtime/run-session.ts",
    find: "  const ended = await runToEnd(deployment, inner, claim, me, deadline);\n  inner.end();\n  await inner.idle();",
    replace: "  const ended = await runToEnd(deployment, inner, claim, me, deadline);",
    seed: 5,
  },
  {
    name: "R7 a manifest does not name the one before",
    file: "lib/checkpoint/fold.ts",
    find: "previous: previous?.ref ?? null,",
    replace: "previous: null,",
    seed: 1,
  },
  {
    name: "R7 nobody repairs a marker",
    file: "lib/checkpoint/coordinator.ts",
    find: "    await writeMarker(store, head.incarnation, previous.ref);\n",
    replace: "",
    seed: 60,
  },
  {
    name: "B1 an id of a checkpoint is used again",
    file: "lib/checkpoint/transitions.ts",
    find: "nextCheckpointId: checkpointId(head.nextCheckpointId + 1),",
    replace: "nextCheckpointId: head.nextCheckpointId,",
    seed: 1,
  },
  {
    name: "B3 the ack comes before what it refers to",
    file: "lib/checkpoint/bodies.ts",
    find: "  await blobs.put(key, bytes);\n",
    replace: "  blobs.put(key, bytes).catch(() => undefined);\n",
    seed: 7,
  },
  {
    name: "positions are those of the ack, not of the cut",
    file: "lib/runtime/session.ts",
    find: "    const ack = await acknowledge(store, this.#me, cut, durable,",
    replace:
      "    const positions = Object.fromEntries([...this.#parts.readers].map(([name, reader]) => [name, reader.positions()]));\n    const ack = await acknowledge(store, this.#me, { ...cut, positions }, durable,",
    seed: 401,
  },
  {
    name: "positions are not in the checkpoint",
    file: "lib/checkpoint/shard-table.ts",
    find: `return at === undefined || entry.at.kind === "finished" ? entry.at : at;`,
    replace: `return at?.kind === "finished" ? at : entry.at;`,
    seed: 1,
  },
  {
    name: "K3 a finished shard is forgotten",
    file: "lib/runtime/source-reader.ts",
    find: "    return [...this.#shards.values()]\n      .map(({ entry }) => ({ shardId: entry.shardId, at: entry.at }))",
    replace: `    return [...this.#shards.values()].filter(({ entry }) => entry.at.kind === "open")
      .map(({ entry }) => ({ shardId: entry.shardId, at: entry.at }))`,
    seed: 3,
  },
  {
    name: "K3 a child starts before its parents are finished",
    file: "lib/checkpoint/shard-table.ts",
    find: `    inTable.every((parent) => known.get(parent)?.at.kind === "finished") &&\n`,
    replace: "",
    seed: 10,
  },
  {
    name: "K3 a child of a merge starts when one parent is finished",
    file: "lib/checkpoint/shard-table.ts",
    find: `    inTable.every((parent) => known.get(parent)?.at.kind === "finished") &&\n`,
    replace: `    inTable.some((parent) => known.get(parent)?.at.kind === "finished") &&\n`,
    seed: 244,
  },
  {
    name: "P1 the record at the position is taken again",
    file: "lib/runtime/shard-reads.ts",
    find: "return { ...read, records: read.records.slice(1) };",
    replace: "return read;",
    seed: 3,
  },
  {
    name: "N1 a successor starts from the last complete checkpoint",
    file: "lib/runtime/restore.ts",
    find: "if (lease.ack !== null) {",
    replace: "if (lease.ack !== null && lease.ack < 0) {",
    seed: 3,
  },
  {
    name: "N1 a successor starts with the positions of the last manifest",
    file: "lib/runtime/restore.ts",
    find: "withPositions(shardsBefore(record, base), ack)",
    replace: "shardsBefore(record, base)",
    seed: 1,
  },
  {
    name: "N4 a session leaves calls behind",
    file: "lib/runtime/guard.ts",
    find: "if (ended) throw",
    replace: "if (ended && name === member) throw",
    seed: 5,
  },
  {
    name: "W1 the version is that of the commit",
    file: "lib/runtime/commit.ts",
    find: "  const { generation, epoch, task } = item;",
    replace:
      "  const { generation, task } = item;\n  const epoch = (item.epoch + Math.floor(store.clock.now() / 1000) % 7) as typeof item.epoch;",
    seed: 3,
  },
  {
    name: "W1 a put without its condition",
    file: "lib/model/versions.ts",
    find: "return sameIncarnation(current, next) && Buffer.compare(current, next) < 0;",
    replace: "return sameIncarnation(current, next);",
    seed: 10,
  },
  {
    name: "a refused put is repeated as if it had been lost",
    file: "lib/connectors/dynamo-table.ts",
    find: "if (!mayReplace(result.version, write.version)) return;",
    replace: "",
    seed: 1,
  },
  {
    name: "state: a delta is lost at a hand-over",
    file: "lib/state/compaction.ts",
    find: "return { ...ref, deltas: [...ref.deltas, file] };",
    replace: "return { ...ref, deltas: [file] };",
    seed: 19,
  },
  {
    name: "R2 an opening goes back to the origin of the generation before",
    file: "lib/checkpoint/decide.ts",
    find: `opening(facts, me, "failure", head.completed, failure)`,
    replace: `opening(facts, me, "failure", head.origin, failure)`,
    seed: 5,
  },
  {
    name: "R5 a move of the head without an answer counts as won",
    file: "lib/checkpoint/coordinator.ts",
    find: `(error.kind !== "ambiguous" && error.kind !== "transient")) throw error;\n    return false;`,
    replace: `(error.kind !== "ambiguous" && error.kind !== "transient")) throw error;\n    return true;`,
    seed: 138,
  },
  {
    name: "R5 whoever holds the lease is taken for this session",
    file: "lib/checkpoint/lease.ts",
    find: "current !== null && isMine(current.value)) return true;",
    replace: "current !== null) return true;",
    seed: 72,
  },
  {
    name: "R6 one name for the objects of all checkpoints",
    file: "lib/checkpoint/names.ts",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is code
    find: "`${at.pipeline}/${checkpointPart(at.incarnation, at.generation, at.checkpointId)}/${at.task}/${what}-${unique}`;",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is code
    replace: "`${at.pipeline}/${at.incarnation}/${at.task}/${what}-${unique}`;",
    seed: 7,
  },
  {
    name: "B4 complete without an ack",
    file: "lib/checkpoint/fold.ts",
    find: "    if (ack === undefined) return null;\n",
    replace: "    if (ack === undefined) continue;\n",
    seed: 1,
  },
  {
    name: "C3 the pipeline is at rest before all is committed",
    file: "lib/checkpoint/decide.ts",
    find: `return holder?.kind === "done" && holder.committed >= (counted.get(task) ?? checkpointId(0));`,
    replace: `return holder !== undefined && counted.size > 0;`,
    seed: 4,
  },
  {
    name: "C3 a session is done before it has committed",
    file: "lib/runtime/phase.ts",
    find: "facts.completed >= phase.checkpointId && !facts.uncommitted",
    replace: "facts.completed >= phase.checkpointId",
    seed: 4,
  },
  {
    name: "N1 a session hands over before its ack is there",
    file: "lib/runtime/phase.ts",
    find: "facts.busy || facts.acked < phase.checkpointId) return null;",
    replace: "false) return null;",
    seed: 1,
  },
  {
    name: "W1 the epoch is not in the version",
    file: "lib/model/versions.ts",
    find: "bytes.writeUIntBE(order.epoch, 10, 6);",
    replace: "bytes.writeUIntBE(0, 10, 6);",
    seed: 8,
  },
  {
    name: "K3 the end of a shard counts as the end of the input",
    file: "lib/runtime/source-reader.ts",
    find: ": this.#hasChildren(shard) || this.#endless.has(shard.entry.shardId),",
    replace: ": true,",
    seed: 45,
  },
  {
    name: "K3 the child of a merge past the end of the input is waited for",
    file: "lib/runtime/source-reader.ts",
    find: ": this.#hasChildren(shard) || this.#endless.has(shard.entry.shardId),",
    replace: ": this.#hasChildren(shard),",
    seed: 45,
  },
  {
    name: "state: deltas are restored before their base",
    file: "lib/state/snapshot-reader.ts",
    find: "ref.base === null ? ref.deltas : [ref.base, ...ref.deltas];",
    replace: "ref.base === null ? ref.deltas : [...ref.deltas, ref.base];",
    seed: 1,
  },
  {
    name: "P0 a second generation resolves LATEST anew",
    file: "lib/checkpoint/opening.ts",
    find: "const known = manifest?.shards[name] ?? previous?.shards?.[name];",
    replace: "const known = manifest?.shards[name];",
    seed: 27,
  },
  {
    name: "P0 a child starts at the source's start although that is the horizon",
    file: "lib/checkpoint/shard-table.ts",
    find: `if (source.start === "horizon") return { kind: "beginning", readTo };`,
    replace: `if (source.start === "horizon") return { kind: "timestamp", at: readTo, readTo };`,
    seed: 0,
  },
  {
    name: "P0 all listed shards start at once",
    file: "lib/checkpoint/shard-table.ts",
    find: "const roots = listed.filter((shard) => !shard.parents.some((parent) => names.has(parent)));",
    replace: "const roots = listed.filter(() => names.size > 0);",
    seed: 24,
  },
];
