import type { SinkResources } from "./sink.js";

/** C4: which names of what is staged a session may remove, where no checkpoint lists them. */
export interface StagedNames {
  /** All of them begin with it. */
  readonly prefix: string;
  readonly mayGo: (name: string) => boolean;
  /** By its beginning it is of a task that is no more, and that this session's sees to. */
  readonly isOfGone: (name: string) => boolean;
}

/**
 * What the earlier sessions of the task have staged; by the sink's first task also what tasks have that are no more. A session whose
 * generation is over may come late: what newer ones have staged is not its to remove.
 */
export function stagedNames({ task, session, gone = null }: SinkResources["stage"]): StagedNames {
  const own = Number(/^(\d+)-/.exec(session.slice(task.length))?.[1]);
  const isOld = (generation: string | undefined) => !(Number(generation) > own);
  const isOfGone = (name: string): boolean =>
    gone !== null &&
    name.startsWith(gone.prefix) &&
    !name.startsWith(task) &&
    !gone.spared.some((one) => name.startsWith(one)) &&
    /^\d+\.\d+-/.test(name.slice(gone.prefix.length));
  return {
    prefix: gone?.prefix ?? task,
    isOfGone,
    mayGo(name) {
      if (name.startsWith(task)) {
        return !name.startsWith(`${session}-`) && isOld(/^(\d+)-/.exec(name.slice(task.length))?.[1]);
      }
      if (gone === null || !isOfGone(name)) return false;
      // Or of nothing that a session has named.
      const found = /^[^-]+-(\d+)-/.exec(name.slice(gone.prefix.length));
      return found !== null && isOld(found[1]);
    },
  };
}
