/** Kills about that often: between half and one and a half times the interval. Returns what stops it. */
export function startChaos(kill: () => unknown, everyMillis: number | null): () => void {
  if (everyMillis === null) return () => undefined;
  let timer: NodeJS.Timeout;
  const next = () => {
    timer = setTimeout(
      () => {
        kill();
        next();
      },
      everyMillis * (0.5 + Math.random()),
    );
  };
  next();
  return () => clearTimeout(timer);
}
