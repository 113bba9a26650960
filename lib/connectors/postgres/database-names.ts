import { StreamError } from "../../model/errors.js";

const environmentName = /^env:([A-Za-z_][A-Za-z0-9_]*)$/;
const scheme = /^postgres(ql)?:\/\//;

export const isAddress = (name: string): boolean => environmentName.test(name) || scheme.test(name);

/**
 * What a logical name is bound to. It is kept in checkpoints and told in messages, so it holds no password.
 *
 * @throws StreamError `invalid`, without what is bound: it may be a secret
 */
export function databaseName(logical: string, bound: string): string {
  const where = `postgres "${logical}"`;
  if (environmentName.test(bound)) return bound;
  if (!scheme.test(bound))
    throw new StreamError(
      "invalid",
      `${where}: the database is bound to no address; bind it to a variable that has its URL, databases: { ${JSON.stringify(logical)}: "env:DATABASE_URL" }, or to a URL without a password`,
    );
  const url = parsed(where, bound);
  // Behind it stands the suffix of a redirect.
  if (url.hash !== "")
    throw new StreamError(
      "invalid",
      `${where}: the URL of its database ends with "#…", which means nothing; leave it out`,
    );
  if (url.password !== "" || url.searchParams.has("password"))
    throw new StreamError(
      "invalid",
      `${where}: the database is bound to a URL with a password, which would be kept in checkpoints; put the URL into a variable and bind the database to that, "env:DATABASE_URL", or leave the password to the option "password"`,
    );
  return bound;
}

/** W2: of a redirect, the suffix of the table is part of the target's name, so that what is prepared says where it goes (C2). */
export const redirectedDatabase = (name: string, suffix: string | null): string =>
  suffix === null ? name : `${name}#${suffix}`;

/** What {@link redirectedDatabase} has put together. */
export function redirectIn(target: string): { readonly database: string; readonly suffix: string | null } {
  const [database = "", suffix = null] = target.split("#");
  return { database, suffix };
}

function parsed(where: string, text: string): URL {
  // The error of URL has the text, and the text may have a password.
  if (!URL.canParse(text))
    throw new StreamError("invalid", `${where}: its URL cannot be read; write postgres://user@host:5432/database`);
  return new URL(text);
}

/** The URL of a name that {@link databaseName} gave. @throws StreamError `invalid`: the variable is not set, or has none */
export function databaseUrl(name: string): string {
  const variable = environmentName.exec(name)?.[1];
  if (variable === undefined) return name;
  const value = process.env[variable] ?? "";
  if (value === "")
    throw new StreamError(
      "invalid",
      `the environment variable ${variable} is not set; it must have the database's URL`,
    );
  const where = `the environment variable ${variable}`;
  if (!scheme.test(value))
    throw new StreamError(
      "invalid",
      `${where} has no URL of a database; write postgres://user:password@host:5432/name`,
    );
  parsed(where, value);
  return value;
}
