/** What each rule might say. The first is what docs/PROTOCOL.md says, each other one is wrong, or another way. */
export interface Rules {
  /** E2, E4: which range a consumer takes from. */
  readonly order: "no frame while a range of an earlier generation is left" | "own generation last" | "per producer";
  /** E4: how a range knows which key groups it stands for. */
  readonly keyGroups: "of the range" | "of the task";
  /** E3. */
  readonly sent: "counted at the cut" | "counted at the ack";
  /** E1: whether a barrier has a number of its own. */
  readonly barrier: "counts as sent" | "does not count";
  /** B2: what an aligned cut does with the barriers at the head of its lanes. */
  readonly headBarriers: "stepped over" | "left";
  /** B2: when an unaligned task cuts at the latest. */
  readonly latestCut: "before a frame of the new epoch" | "when it looks at the head";
  /** K3: when a child enters. */
  readonly children: "when the frames of its parents were taken" | "when its parents are finished";
  /** N1: which sessions may hand over. */
  readonly handover: "nothing begun since the cut" | "any that acked";
  /** C2: who restores the committables of a task. */
  readonly committables: "by first key group" | "by index";
  /** C2: what is committed before the first ack. */
  readonly firstAck: "after what is complete" | "after all that it was given";
  /** E1: what the note of a finished producer says. */
  readonly finished: "passes every later barrier, and puts none" | "passes it, and puts barriers too" | "says nothing";
}

export const asBuilt: Rules = {
  order: "no frame while a range of an earlier generation is left",
  keyGroups: "of the range",
  sent: "counted at the cut",
  barrier: "counts as sent",
  headBarriers: "stepped over",
  latestCut: "before a frame of the new epoch",
  children: "when the frames of its parents were taken",
  handover: "nothing begun since the cut",
  committables: "by first key group",
  firstAck: "after what is complete",
  finished: "passes every later barrier, and puts none",
};
