import type { SinkResources } from "./sink.js";

/** C4: which names of what is staged a session may remove, where no checkpoint lists them. */
export interface StagedNames {
  /** All of them begin with it. */
  readonly prefix: string;
  readonly mayGo: (name: string) => boolean;
}

/**
 * What the earlier sessions of the task have staged; by the sink's first task also what tasks have that are no more. A session whose
 * generation is over may come late: what newer ones have staged is not its to remove.
 */
export function stagedNames({ task, session, gone = null }: SinkResources["stage"]): StagedNames {
  const own = Number(/^(\d+)-/.exec(session.slice(task.length))?.[1]);
  const isOld = (generation: string | undefined) => !(Number(generation) > own);
  return {
    prefix: gone?.prefix ?? task,
    mayGo(name) {
      if (name.startsWith(task)) {
        return !name.startsWith(`${session}-`) && isOld(/^(\d+)-/.exec(name.slice(task.length))?.[1]);
      }
      if (gone === null || !name.startsWith(gone.prefix) || gone.spared.some((one) => name.startsWith(one)))
        return false;
      // Of a task, or of nothing that a session has named.
      const found = /^\d+\.\d+-(\d+)-/.exec(name.slice(gone.prefix.length));
      return found !== null && isOld(found[1]);
    },
  };
}
