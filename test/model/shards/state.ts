import { type Entries, entry } from "../changes.js";

/** What each rule might say. The first is what docs/PROTOCOL.md says, each other one is wrong. */
export interface Rules {
  /** K3: when a child enters the table. */
  readonly entering:
    | "its parents in the table are finished, no other is listed"
    | "its parents are finished or not listed";
  /** K3: when a finished entry leaves the table. */
  readonly leaving: "a shard that came out of it is listed" | "it is not listed";
  /** P0: where a child starts. */
  readonly childStart: "at the start of the source" | "at its beginning";
  /** P0: what a start at the horizon is. */
  readonly horizon: "a start of its own" | "now less retention";
  /** P1: when a position is checked. */
  readonly check: "at every read" | "at the first read";
  /** P1: what the read that finds the end of a shard leaves behind. */
  readonly ends: "readTo as it was, checked until a child is in" | "read up to now";
  /** N3: what wakes the pipeline. */
  readonly waking: "records, ends and new shards" | "records and ends";
  /** N3: what the supervisor's looks at a sleeping pipeline leave behind. */
  readonly looks: "a later readTo" | "nothing";
}

export const asBuilt: Rules = {
  entering: "its parents in the table are finished, no other is listed",
  leaving: "a shard that came out of it is listed",
  childStart: "at the start of the source",
  horizon: "a start of its own",
  check: "at every read",
  ends: "readTo as it was, checked until a child is in",
  waking: "records, ends and new shards",
  looks: "a later readTo",
};

/** A shard as the stream's script has it: when it opens, when it is split or merged, and what comes when. */
export interface Shard {
  readonly owner: number;
  readonly opens: number;
  readonly closes?: number;
  readonly parents?: readonly string[];
  readonly records: readonly { readonly time: number; readonly record: string }[];
}

export interface Setup {
  readonly rules: Rules;
  readonly start: "latest" | "horizon";
  readonly from: number;
  readonly until: number;
  readonly retention: number;
  readonly shards: Entries<Shard>;
  /** Whether it may fail only where something is lost. */
  readonly failsOnlyAtLoss: boolean;
  readonly sleeps: boolean;
  /** Whether a list of shards may be used long after it was taken. */
  readonly oldLists: boolean;
  readonly crashes: number;
}

/** K3, P1: an entry of the shard table. */
export interface Entry {
  /** The record that is read next, by its place in the script. */
  readonly next: number;
  /** The record that was read last; -1: none. While it is there nothing behind it is missing. */
  readonly after: number;
  readonly readTo: number;
  readonly at: "horizon" | "open" | "finished";
  /** Not read since the session began. */
  readonly isFresh: boolean;
}

export type Table = Entries<Entry>;

export interface Ack {
  readonly table: Table;
  readonly history: readonly string[];
}

export interface State {
  readonly now: number;
  readonly life: "new" | "running" | "asleep" | "failed";
  /** When the start was resolved. */
  readonly resolved: number;
  /** A list of shards that somebody still has; null: nobody. */
  readonly oldList: readonly string[] | null;
  /** What the completed checkpoint says. */
  readonly table: Table;
  readonly history: readonly string[];
  /** What each task reads, and its state. */
  readonly tasks: readonly Ack[];
  /** Of the pending checkpoint. */
  readonly acks: readonly (Ack | null)[];
  /** P0: trimmed before the first read from the horizon, so nobody promised them. */
  readonly unpromised: readonly string[];
  readonly skipped: string;
  readonly failure: string;
  readonly crashes: number;
}

export const tasks: readonly number[] = [0, 1];

export const shardOf = ({ shards }: Setup, name: string): Shard => entry(shards, name);

export const parentsOf = (setup: Setup, name: string): readonly string[] => shardOf(setup, name).parents ?? [];

export const childrenOf = (setup: Setup, name: string): readonly string[] =>
  Object.keys(setup.shards).filter((other) => parentsOf(setup, other).includes(name));

/** A closed shard is listed until all of it is trimmed. */
export const listed = ({ shards, retention }: Setup, now: number): readonly string[] =>
  Object.keys(shards).filter((name) => {
    const { opens, closes } = entry(shards, name);
    return opens <= now && (closes ?? now) + retention >= now;
  });

export const isTrimmed = ({ retention }: Setup, { now }: Pick<State, "now">, time: number): boolean =>
  time + retention < now;

export const hasClosed = (setup: Setup, { now }: State, name: string): boolean => {
  const { closes } = shardOf(setup, name);
  return closes !== undefined && closes <= now;
};

/** What the pipeline promised to read. */
export const isPromised = (
  { start }: Setup,
  { resolved, unpromised }: State,
  { time, record }: Shard["records"][number],
): boolean => (start === "latest" ? time >= resolved : !unpromised.includes(record));

export const ownerOf = ({ shards }: Setup, record: string): number =>
  Object.values(shards).find(({ records }) => records.some((other) => other.record === record))?.owner ?? 0;
