// Rules as one would first write them down, which a search over models found to be wrong, and the rules of docs/PROTOCOL.md:
// each with what would find the code that followed the wrong one.

/** `mutants`: names in mutants.ts, which seeds find. `test`: another test that has teeth for it. `later`: the part is not running yet. */
export type Teeth =
  | { readonly kind: "mutants"; readonly names: readonly string[] }
  | { readonly kind: "test"; readonly file: string; readonly name: string }
  | { readonly kind: "later"; readonly part: string };

export interface Rule {
  readonly rule: string;
  readonly teeth: Teeth;
}

const byMutants = (rule: string, ...names: readonly string[]): Rule => ({ rule, teeth: { kind: "mutants", names } });
const byTest = (rule: string, file: string, name: string): Rule => ({ rule, teeth: { kind: "test", file, name } });
const later = (rule: string, part: string): Rule => ({ rule, teeth: { kind: "later", part } });

/** Wrong rules, with the counter-example that the search found. */
export const wrongRules: readonly Rule[] = [
  byMutants("E2, a range has no key groups", "E2 a range has no key groups"),
  byMutants("E2, ranges are ordered per producer", "E2 ranges are ordered per producer"),
  byMutants("E4, only the own generation comes last", "E4 only the own generation comes last"),
  byMutants("E3, sent is counted at the ack", "E3 sent is counted at the ack"),
  byTest(
    "E1, aligned, a finished producer says nothing",
    "test/unit/stages-sessions.test.ts",
    "B4 bounded input is finished when all tasks have taken all, whatever is in flight at its end",
  ),
  byTest(
    "at-least-once, read as exactly once",
    "test/unit/stages-sessions.test.ts",
    "B2 on one schedule of crashes: unaligned and aligned count each record once, at-least-once counts some twice",
  ),
  byMutants(
    "K3, a child starts when its parents are finished, though their frames are not taken",
    "K3 a child enters although its parents' frames are under way",
  ),
  byMutants("aligned, but nothing is set aside", "B2 aligned, but nothing is set aside"),
  byMutants(
    "a frame of the next epoch is taken before the cut",
    "B2 a frame of the next epoch is taken before the cut",
  ),
  byMutants(
    "frames without their generation in the name, or with another number each time",
    "E1 names of frames without their generation",
    "E1 a hand-over begins its numbers anew",
  ),
  byMutants("C2, committables go to the task of the same number", "C2 committables go to the task of the same number"),
  byTest(
    "N1, a session goes on after its cut, then hands over with the ack",
    "test/unit/runtime-phase.test.ts",
    "N1 running, where its ack is of a checkpoint after which all goes on",
  ),
  byMutants(
    "C2, a successor commits all that its ack lists before its first ack",
    "C2 commits before the checkpoint is complete",
    "C2 commits in whatever order",
    "C2 a restored task does not commit what its origin covers",
  ),
  byTest(
    "a suspend checkpoint needs a change",
    "test/unit/checkpoint-sleep.test.ts",
    "N2 idle for long: a checkpoint after which it sleeps, though nothing changed",
  ),
  byMutants("a final checkpoint needs a change", "B1 a final checkpoint needs a change"),
  byTest(
    "nothing has changed since the last checkpoint, and it must sleep",
    "test/unit/runtime-sleep.test.ts",
    "N2 sessions live shorter than it is to be idle before it sleeps: the checkpoints carry the time on",
  ),
  byMutants("a trigger while suspending", "B1 a checkpoint is triggered while the pipeline goes to rest"),
  byMutants("C3, a session without committables leaves before R1", "C3 a session goes on after its ack of a stop"),
  byTest(
    "N1, a lease released while suspending gets no session",
    "test/unit/checkpoint-decide.test.ts",
    "C3 a lease released without committed is taken up again",
  ),
  byTest(
    "C3, every lease says committed: c",
    "test/unit/checkpoint-decide.test.ts",
    "C3 a finished task committed its own, older ack",
  ),
  byMutants(
    "S0, a child starts at its beginning",
    "P0 a child starts at its beginning although the source starts later",
  ),
  byTest(
    "K3, a child enters although its parent is unfinished, but no longer listed",
    "test/unit/checkpoint-shards.test.ts",
    "K3 not while its parent is unfinished, though the parent is no longer listed",
  ),
  byMutants("S1, checked around the first read only", "P1 only the first read is checked"),
  byMutants(
    "S1, the end of a finished shard counts as read up to now",
    "P1 the end of a shard counts as read up to now",
  ),
  byTest(
    "S1, TRIM_HORIZON becomes now - retention",
    "test/unit/checkpoint-shards.test.ts",
    "P0 LATEST is a timestamp, and read up to there; the horizon promises nothing yet",
  ),
  byMutants("N3, a quiet sleep is longer than the retention", "N3 a look leaves nothing behind"),
  byMutants("N3, it wakes for records only", "N3 it wakes for records only"),
  byTest(
    "G3, the savepoint that a generation was opened from is deleted",
    "test/unit/garbage-rules.test.ts",
    "G2 after a replay from a savepoint below the floor, nothing of it that is as old as the savepoint or newer",
  ),
  byMutants("G2, after a replay the floor rises to the newest by number", "G2 the floor rises to the newest by number"),
  byMutants(
    "G2, what lies below the floor is deleted, though something refers to it",
    "G2 what restorable checkpoints refer to goes",
  ),
  byMutants(
    "G2, after a replay what is new lies below the floor",
    "G2 of the current generation goes what is below the floor alone",
  ),
  byMutants("G2, R7, the marker goes last, with the manifest", "G2 the marker goes last"),
  byMutants("G1, an older generation's files go at once", "G1 an older generation's files go at once"),
  byTest(
    "C4, a reader deletes a final file, a restore makes it again",
    "test/unit/file-sink.test.ts",
    "C4 that its reader took away does not come again, and is not missed by who commits again",
  ),
  byTest(
    "the same plan in new code passes the fingerprint",
    "test/unit/lambda.test.ts",
    "P4 a session of another version is refused",
  ),
  byMutants("a supervisor opens with its own version", "P4 a supervisor opens with its own version"),
  byMutants(
    "the new supervisor folds the acks of the old version",
    "P4 code of another version completes a checkpoint",
  ),
  byMutants("two-phase sink, an ack lists the new committables", "C1 an ack lists only what is new"),
  byMutants(
    "R1 compares the generation only",
    "R1 complete without a condition",
    "R2 an opening keeps what is pending",
  ),
  byTest(
    "eager sink, keys depend on arrival order",
    "test/unit/eager.test.ts",
    "W3 wants the user's word that keys are stable",
  ),
  byMutants("eager sink, a delete removes the item", "W4 a deletion counts as a row of its key alone"),
  later("write-ahead log appended to a stream, no reader's dedupe", "Kinesis as a sink"),
  byMutants("the session id comes with the invoke", "R4 the session id comes with the invocation"),
  byMutants(
    "a release without answer is read back",
    "R5 whoever holds the lease is taken for this session",
    "R5 a release is passed on before it is answered",
  ),
  byMutants(
    "hand-over passes state and positions, and not what is uncommitted",
    "N1 a successor gets state and positions, not what is uncommitted",
  ),
  byMutants("a finished shard is in the next ack only", "K3 a finished shard is forgotten"),
  byMutants("a replay leaves head.completed", "R2 a restore leaves what is complete"),
  byTest(
    "a replay removes later files",
    "test/simulation/simulation.test.ts",
    "hold every invariant and give the oracle's result",
  ),
  byMutants(
    "the ack comes before the flush",
    "B3 the ack comes before what it refers to",
    "B3 the ack comes before what eager sinks took is written",
    "B3 the ack comes before files are staged",
  ),
];

/** The rules of the protocol. */
export const rules: readonly Rule[] = [
  byMutants("R1", "R1 complete without a condition"),
  byMutants(
    "R2",
    "R2 an opening keeps what is pending",
    "R2 a session of an old generation goes on",
    "R2 a restore forgets the tip that it leaves",
  ),
  byTest(
    "R3",
    "test/unit/checkpoint-coordinator.test.ts",
    "R3 two that complete at once: one manifest is selected, and both see it",
  ),
  byMutants("R4", "R4 the session id comes with the invocation", "R4 the lease is taken from whatever version"),
  byMutants("R5", "R5 a lost claim is taken for won", "R5 nobody invokes a lease that nobody takes"),
  byMutants("R6", "R6 one name for the objects of all checkpoints"),
  byMutants("R7", "R7 a manifest does not name the one before", "R7 nobody repairs a marker"),
  byMutants("B1", "B1 an id of a checkpoint is used again"),
  byMutants(
    "B2",
    "B2 a cut does not wait for calls",
    "B2 a frame of the next epoch is taken before the cut",
    "B2 aligned, but nothing is set aside",
    "B2 a cut comes in the middle of a frame",
    "B2 a cut takes the positions of one source alone",
    "B2 at least once, what was sent before a barrier that has come is forgotten",
  ),
  byMutants("B3", "B3 the ack comes before what it refers to", "B3 the ack does not wait for frames"),
  byMutants(
    "B4",
    "B4 complete without an ack",
    "B4 the ack of the checkpoint before counts for the next",
    "B4 a checkpoint completes without the acks of later stages",
  ),
  byTest(
    "B4, a finish that not all have finished",
    "test/unit/checkpoint-tasks.test.ts",
    "B5 is aborted when one does not: the end is asked for again",
  ),
  byTest(
    "B1, the end is asked for before the owner of a child knows of it",
    "test/unit/checkpoint-tasks.test.ts",
    "B1 K3 a shard was let in that no ack speaks of: its owner may not have seen it when it said so",
  ),
  byTest("B5", "test/unit/checkpoint-transitions.test.ts", "B5 an abort keeps what is complete and counts"),
  byMutants("C1", "C1 an ack lists only what is new", "C1 what earlier checkpoints prepared is forgotten"),
  byMutants(
    "C2",
    "C2 commits before the checkpoint is complete",
    "C2 commits in whatever order",
    "C2 files are shown before the checkpoint is complete",
  ),
  byMutants("C3", "C3 the pipeline is at rest before all is committed", "C3 a session is done before it has committed"),
  byMutants(
    "C4",
    "C4 a session sweeps what it has to commit",
    "C4 a zombie sweeps what a newer generation staged",
    "C4 a task sweeps what another one took over",
    "C4 what a savepoint of a lineage that was left has staged is swept",
  ),
  byTest(
    "C4, nothing is swept that a lineage lists to which a restore may go back",
    "test/unit/runtime-files.test.ts",
    "C4 a checkpoint that a restore has left keeps its staged files: going back to it shows them",
  ),
  later("C5", "counters in transactions"),
  later("C6", "Kinesis as a sink"),
  byMutants("P0", "P0 a second generation resolves LATEST anew", "P0 all listed shards start at once"),
  byMutants("P1", "P1 a gap is skipped", "P1 the record at the position is taken again"),
  byTest(
    "P2",
    "test/integration/bad-input-records.test.ts",
    "P2: is named, its checkpoint stays restorable, and with its old name it goes on exactly",
  ),
  byTest("P3", "test/unit/checkpoint-documents.test.ts", "P3 every text that is cut short is found out"),
  byMutants(
    "P4",
    "P4 a supervisor opens with its own version",
    "P4 a deployment is taken back once and never again",
    "P4 of what is finished nothing is passed on",
  ),
  byTest(
    "P4, a request that brings code",
    "test/unit/deploys-sessions.test.ts",
    "P4 R2 is taken back with it where it cannot be: what runs goes on, and that code is not deployed",
  ),
  byTest("K1", "test/unit/keys.test.ts", "K1 the bytes of a key"),
  byMutants("K2", "K2 user records of another shard are taken too", "K2 every task reads every shard"),
  byMutants(
    "K3",
    "K3 a child starts before its parents are finished",
    "K3 a finished shard leaves before its children are in",
  ),
  byMutants(
    "E1",
    "E1 an open frame is forgotten at the cut",
    "E1 an open frame goes on in the next epoch",
    "E1 a hand-over begins its numbers anew",
    "E1 names of frames without their generation",
    "E1 the note comes before the frame is durable",
  ),
  byMutants(
    "E2",
    "E2 a range has no key groups",
    "E2 a hand-over forgets what is still expected",
    "E2 a frame forgets on which side of a connect its records come",
  ),
  byMutants(
    "E3",
    "E3 sent is counted at the ack",
    "E3 what is still expected is counted at the ack",
    "E3 a checkpoint names no frames",
    "E3 a range is closed a frame too late",
    "E3 a range is closed a frame too early",
  ),
  byMutants(
    "E4",
    "E4 what is fused takes records before the frames of its edge",
    "E4 of two that are fused, the first takes what it has left before the second",
    "E4 an heir takes over the ranges of the task of its number",
    "E4 an heir reads the state of the task of its number",
    "E4 a rescaled task adds its delta to the base of another",
  ),
  byMutants("E5", "E5 a producer reads on, however far behind its consumers are"),
  byMutants("W1", "W1 a put without its condition", "W1 the version is that of the commit"),
  byMutants(
    "W2",
    "W2 a redirect writes where it always did",
    "W2 a dry run writes",
    "W2 a generation forgets how sinks were before it",
    "W2 a request for other modes comes to nothing",
    "C2 what was prepared goes to where the sink writes now",
    "W2 a fork has its origin's output, which waits",
    "W2 a fork is without what was on its way",
  ),
  byTest(
    "W3",
    "test/unit/eager.test.ts",
    "W3 takes an eager sink right behind an operator with state, and nowhere else",
  ),
  byMutants("W4", "W4 a deleted row may come back"),
  byMutants("Q1", "Q1 state that a bad record changed stays", "Q1 rows that a bad record gave stay"),
  byMutants(
    "N1",
    "N1 a successor starts from the last complete checkpoint",
    "N1 a session hands over before its ack is there",
  ),
  byTest("N2", "test/unit/checkpoint-sleep.test.ts", "N2 both are idle for long"),
  byMutants("N3", "N3 nobody looks at the shards of a pipeline that sleeps"),
  byTest(
    "N4",
    "test/unit/runtime-guard.test.ts",
    "N4 after the end every call of every port is refused, and does nothing",
  ),
  byMutants("G1", "G1 an older generation's files go at once", "G1 a savepoint is kept no longer than others"),
  byMutants(
    "G2",
    "G2 what restorable checkpoints refer to goes",
    "G2 frames go that a checkpoint names",
    "G2 the acks of a checkpoint that completes meanwhile do not count",
  ),
  byMutants("G3", "G3 a checkpoint is opened that is not kept any more"),
];
