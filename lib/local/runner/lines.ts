/** Cuts the output of a process into lines. */

const lineCharactersMax = 65_536;

/** `text` is the rest of the last cut and what came since. A line without end is cut at 65,536 characters. */
export function cutLines(text: string): { readonly lines: readonly string[]; readonly rest: string } {
  const lines = text.split("\n");
  const rest = lines.pop() ?? "";
  if (rest.length < lineCharactersMax) return { lines, rest };
  return { lines: [...lines, rest.slice(0, lineCharactersMax)], rest: rest.slice(lineCharactersMax) };
}
