import { inject, test } from "vitest";

/** By emulator and the name of a test: what is otherwise there than on AWS. */
export type KnownFaults = Readonly<Record<string, Readonly<Record<string, string>>>>;

type Run = (name: string, body: () => Promise<void>) => void;

/** Registers tests. One of a known fault must fail; when the emulator is mended, that is told. */
export const runWith =
  (faults: KnownFaults): Run =>
  (name, body) => {
    const { emulator } = inject("cloud");
    const fault = faults[emulator ?? ""]?.[name];
    if (fault === undefined) test(name, body);
    else test.fails(`${name} (${fault})`, body);
  };
