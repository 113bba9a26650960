// What LocalStack needs of the machine.
import { run } from "./commands.js";

export interface Tools {
  readonly python: string;
  /** As numbers: 3, 11. */
  readonly pythonVersion: readonly [number, number];
  readonly javaHome: string;
}

const pythons = ["python3.13", "python3.12", "python3.11", "python3"];

/** @throws Error that names all that is missing, and what to do instead */
export async function findTools(need: { readonly maven: boolean }): Promise<Tools> {
  const [python, javaHome, maven] = await Promise.all([findPython(), findJava(), run("mvn", ["--version"])]);
  const missing = [
    ...(python === null ? ["Python 3.11 or later, with venv (Debian: python3 python3-venv)"] : []),
    ...(javaHome === null ? ["Java 17 or later (Debian: openjdk-17-jre-headless)"] : []),
    ...(need.maven && maven.code !== 0 ? ["Maven (Debian: maven)"] : []),
  ];
  if (python !== null && javaHome !== null && missing.length === 0) return { ...python, javaHome };
  throw new Error(
    `LocalStack cannot be set up here. This is missing: ${missing.join("; ")}.
Install it. Or, with Docker: docker compose up --detach --wait, then AWS_ENDPOINT_URL=http://127.0.0.1:4566 npm run test:cloud.
Or run the tests on the embedded cloud, which has no Lambda: npm run test:cloud -- --embedded`,
  );
}

async function findPython(): Promise<Pick<Tools, "python" | "pythonVersion"> | null> {
  for (const python of pythons) {
    const { code, output } = await run(python, ["-c", "import sys, venv, ensurepip; print(*sys.version_info[:2])"]);
    const [major = 0, minor = 0] = output.trim().split(" ").map(Number);
    if (code === 0 && major === 3 && minor >= 11) return { python, pythonVersion: [major, minor] };
  }
  return null;
}

async function findJava(): Promise<string | null> {
  const { code, output } = await run("java", ["-XshowSettings:properties", "-version"]);
  const read = (name: string) => new RegExp(`^\\s*${name} = (.+)$`, "m").exec(output)?.[1]?.trim();
  const version = Number(read("java\\.specification\\.version"));
  return code === 0 && version >= 17 ? (read("java\\.home") ?? null) : null;
}
