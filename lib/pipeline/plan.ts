import type { Json } from "../model/canonical-json.js";
import type { Alignment } from "../model/checkpoints.js";
import type { Millis, Sha256 } from "../model/ids.js";
import type { Migrations } from "./migrations.js";
import type { Sink } from "./sink.js";
import type { Source, SourceConfig } from "./source.js";

export type NodeId = number;

/** State as it is declared: plain data. `initial` only for values. */
export interface StateDeclaration {
  readonly kind: "value" | "list" | "map";
  readonly initial?: Json;
}

/** One step of the graph. `input`, `inputs`, `left` and `right` are the steps before it: they have lower ids. */
export type PlanNode =
  | {
      readonly id: NodeId;
      readonly kind: "source";
      readonly name: string;
      readonly source: { readonly kind: string; readonly config: SourceConfig };
    }
  | { readonly id: NodeId; readonly kind: "map" | "filter" | "flatMap" | "keyBy"; readonly input: NodeId }
  | { readonly id: NodeId; readonly kind: "union"; readonly inputs: readonly NodeId[] }
  | {
      readonly id: NodeId;
      readonly kind: "mapAsync";
      readonly name: string;
      readonly input: NodeId;
      /** Calls under way at a time, at most. */
      readonly concurrency: number;
      /** Results go on in the order of the records. */
      readonly ordered: boolean;
      readonly timeout: Millis;
    }
  | {
      readonly id: NodeId;
      readonly kind: "process";
      readonly name: string;
      readonly version: number;
      readonly input: NodeId;
      readonly state: Readonly<Record<string, StateDeclaration>>;
    }
  | {
      readonly id: NodeId;
      readonly kind: "reduce";
      readonly name: string;
      readonly version: number;
      readonly input: NodeId;
    }
  | {
      readonly id: NodeId;
      readonly kind: "connect";
      readonly name: string;
      readonly version: number;
      /** Both are `keyBy`, by keys of one kind. */
      readonly left: NodeId;
      readonly right: NodeId;
      readonly state: Readonly<Record<string, StateDeclaration>>;
    }
  | {
      readonly id: NodeId;
      readonly kind: "sink";
      readonly name: string;
      readonly input: NodeId;
      readonly sink: { readonly kind: string; readonly config: Json };
    };

/** The graph as JSON: what the fingerprint is of. Holds no physical name, so that one value serves every environment. */
export interface PlanGraph {
  readonly format: 1;
  readonly name: string;
  readonly nodes: readonly PlanNode[];
  /** Where records go that cannot be decoded or processed, in pipelines that put them aside. */
  readonly deadLetters?: { readonly kind: string; readonly config: Json };
}

/** The pipeline's options with their defaults, in milliseconds. */
export interface PlanSettings {
  /** Tasks of each stage whose operators do not say how many. */
  readonly parallelism: number;
  readonly interval: Millis;
  readonly timeout: Millis;
  readonly minPause: Millis;
  readonly tolerableFailures: number;
  readonly retained: number;
  readonly mode: "exactly-once" | "at-least-once";
  /** How tasks cut (B2): "at-least-once" where that is the mode. */
  readonly alignment: Alignment;
  /** The part of a session's time that is kept for handing over (N1). */
  readonly reserve: Millis;
  readonly restart: {
    /** Failures without a completed checkpoint between them, inside the window, until the pipeline counts as failed. */
    readonly attempts: number;
    readonly window: Millis;
    readonly initialDelay: Millis;
    readonly maxDelay: Millis;
  };
  readonly suspendAfter: Millis | null;
  /** E5: a producer stops so many frames ahead of its slowest consumer: 64 where it is not given. No option of the user's. */
  readonly windowFrames?: number;
  readonly onBadRecord: "fail" | "quarantine";
}

/** How a pipeline is run. Not part of the fingerprint: all of it may change from deployment to deployment. */
export interface AllSettings extends PlanSettings {
  /** By name, of the operators that say it themselves. */
  readonly operatorParallelism: Readonly<Record<string, number>>;
}

// biome-ignore lint/suspicious/noExplicitAny: functions of users, of every type; the builder has checked how they fit
export type UserFunction = (...args: any[]) => unknown;

/** A pipeline as the runtime, the command line and the construct see it: a frozen graph and a table of functions by node. */
export interface Plan {
  readonly graph: PlanGraph;
  readonly fingerprint: Sha256;
  readonly settings: AllSettings;
  /**
   * Of map, filter, flatMap, mapAsync, keyBy, process (`onRecord`), reduce (`merge`) and connect: one function of value, context
   * and side, 0 for the left one (`onLeft`) and 1 for the right one (`onRight`). A union has none.
   */
  readonly functions: ReadonlyMap<NodeId, UserFunction>;
  /** By operator, of those that have any: how state of older versions becomes that of this one. */
  readonly migrations: ReadonlyMap<string, Migrations>;
  readonly sources: ReadonlyMap<string, Source<unknown>>;
  /** By name; the dead-letter sink among them. */
  readonly sinks: ReadonlyMap<string, Sink<never>>;
}

export type StatefulNode = Extract<PlanNode, { readonly kind: "process" | "reduce" | "connect" }>;

/** Whether the node has keyed state, addressed by its name. */
export const hasState = (node: PlanNode): node is StatefulNode =>
  node.kind === "process" || node.kind === "reduce" || node.kind === "connect";

/** The states of an operator by name: `reduce` has one, a value. */
export const statesOf = (node: StatefulNode): Readonly<Record<string, StateDeclaration>> =>
  node.kind === "reduce" ? { value: { kind: "value" } } : node.state;

/** The steps right before the node: of a source none, of a connect the left one and the right one, in that order. */
export function inputsOf(node: PlanNode): readonly NodeId[] {
  switch (node.kind) {
    case "source":
      return [];
    case "union":
      return node.inputs;
    case "connect":
      return [node.left, node.right];
    default:
      return [node.input];
  }
}

/** Tasks that the operator is to have. */
export const parallelismOf = (settings: AllSettings, operator: string): number =>
  settings.operatorParallelism[operator] ?? settings.parallelism;
