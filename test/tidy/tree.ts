// What holds for every file, code or not.
import { posix } from "node:path";
import type { Finding, TextFile } from "./source.js";

type TreeCheck = (files: readonly TextFile[]) => readonly Finding[];

/** The checks and their made-up samples have to spell what they look for. */
const spellsIt = (path: string) => path === "test/tidy.test.ts" || path.startsWith("test/tidy/");

function eachLine(pattern: RegExp, wanted: (path: string) => boolean, message: (match: string) => string): TreeCheck {
  return (files) =>
    files
      .filter(({ path }) => !spellsIt(path) && wanted(path))
      .flatMap(({ path, text }) =>
        text.split("\n").flatMap((line, index) => {
          const match = pattern.exec(line)?.[0];
          return match === undefined ? [] : [{ path, line: index + 1, message: message(match) }];
        }),
      );
}

const saysNothing = /^(utils?|common|helpers?|types?|core|shared)$/;
/** Tests of the public types: there the word says what it is about. */
const aboutTypes = /^test\/types\//;

export const namesSaySomething: TreeCheck = (files) =>
  files.flatMap(({ path }) => {
    const parts = posix.dirname(path).split("/").concat(posix.basename(path).replace(/\..*$/, ""));
    const bad = aboutTypes.test(path) ? undefined : parts.find((part) => saysNothing.test(part));
    return bad === undefined ? [] : [{ path, line: 0, message: `"${bad}" says nothing: name it after what is in it` }];
  });

export const noWorkIsLeft = eachLine(
  /\b(TODO|FIXME|XXX)\b/,
  (path) => !path.startsWith("test/golden/") && path !== "package-lock.json",
  (word) => `${word}: do it now, or write down what is missing in docs/`,
);

export const noRegistryHost = eachLine(
  /https?:\/\/[^\s"'/]*(registry|npmjs|artifactory|nexus|verdaccio|jfrog)[^\s"'/]*|\bregistry\.(npmjs|yarnpkg)\.\w+/i,
  () => true,
  (host) => `${host}: where packages come from is the business of whoever installs`,
);

export const lockFileNamesNoPlace = eachLine(
  /"resolved"\s*:/,
  (path) => /(^|\/)(package-lock|npm-shrinkwrap)\.json$/.test(path),
  () => `a "resolved" URL: npm install with omit-lockfile-registry-resolved=true (.npmrc) leaves it out`,
);

export const noPathOfAMachine = eachLine(
  /(?<![\w.~)}\]-])\/(home|root|Users|work)\/[\w.-]+|\b[A-Z]:\\Users\\/,
  (path) => path !== "LICENSE",
  (path) => `${path}: a path of one machine`,
);

/** A change of the library's version is a change of what a generation records, so the two may not differ. */
export const versionsAgree: TreeCheck = (files) => {
  const read = (path: string, pattern: RegExp) =>
    pattern.exec(files.find((file) => file.path === path)?.text ?? "")?.[1];
  const manifest = read("package.json", /^ {2}"version": "([^"]+)"/m);
  const lock = read("package-lock.json", /^ {2}"version": "([^"]+)"/m);
  const library = read("lib/model/library.ts", /libraryVersion = "([^"]+)"/);
  if (manifest !== undefined && manifest === library && manifest === lock) return [];
  const message = `versions differ: package.json ${manifest}, package-lock.json ${lock}, lib/model/library.ts ${library}`;
  return [{ path: "lib/model/library.ts", line: 0, message }];
};
