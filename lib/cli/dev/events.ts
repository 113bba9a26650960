import type { Failure, Head, Status } from "../../model/head.js";

/** What `dev` tells while it runs: a line each on standard output with --json, and what the status line is made of. */
export type DevEvent =
  | {
      readonly event: "ready";
      readonly pipeline: string;
      readonly endpoint: string;
      readonly functionsEndpoint: string;
      readonly made: readonly string[];
    }
  | {
      readonly event: "status";
      readonly status: Status | "starting";
      readonly generation: number;
      readonly checkpoint: number | null;
      readonly checkpoints: number;
      readonly tasks: number;
      /** Read by all tasks, since the pipeline began. */
      readonly records: number;
      readonly behindMillis: number;
      readonly idle: boolean;
      readonly restarts: number;
    }
  | {
      readonly event: "session";
      /** `failed`: its process crashed, exited, or ran out of time; `killed`: by a signal. */
      readonly state: "started" | "ended" | "killed" | "failed";
      readonly pid: number | null;
      readonly requestId: string;
    }
  /** A generation ended badly; the pipeline restarts, or `end` follows. */
  | ({ readonly event: "failure" } & Failure)
  /** The endpoint takes long to answer. */
  | { readonly event: "waiting"; readonly endpoint: string; readonly millis: number }
  | { readonly event: "recovered"; readonly generation: number; readonly seconds: number }
  /** `pid`: of the process that printed it. */
  | { readonly event: "log"; readonly function: string; readonly pid: number | null; readonly line: string }
  | { readonly event: "end"; readonly status: Status; readonly failures: Head["failures"] };

export type DevListener = (event: DevEvent) => void;
