import { CacheError } from "./errors.ts";

/** A host and its port, 1 to 65535. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

/** What a Redis URL names. */
export interface RedisTarget {
  /** `"cluster"` for a list of hosts, `"sentinel"` by the scheme. */
  readonly kind: "single" | "cluster" | "sentinel";
  /** The server, or those of the nodes or sentinels that are asked first; at least one. */
  readonly addresses: readonly RedisAddress[];
  readonly isTls: boolean;
  /** Decoded; empty = none. */
  readonly username: string;
  /** Decoded; empty = none. */
  readonly password: string;
  /** What the sentinels call the master; `undefined` for the other kinds. */
  readonly master: string | undefined;
  /** The database's number, 0 by default and on every cluster. */
  readonly database: number;
}

/** The text is not quoted: it may hold a password. */
function refuse(reason: string): never {
  throw new CacheError(
    "ERR_CACHE_INVALID_OPTION",
    `url ${reason}; expected redis://[user:password@]host[:port][/db], rediss://…, redis://host,host,… for a cluster, or redis+sentinel://host,host/name`,
  );
}

function toAddress(text: string, defaultPort: number): RedisAddress {
  const match = /^(\[[0-9a-fA-F:.%]+\]|[^:[\]/?#\s]+)(?::(\d{1,5}))?$/.exec(text);
  const port = match?.[2] === undefined ? defaultPort : Number(match[2]);
  if (!match || port < 1 || port > 65_535) refuse("has a host or port that cannot be read");
  return { host: (match[1] as string).replace(/^\[|\]$/g, ""), port };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return refuse("has a user, password or path that is not percent-encoded");
  }
}

function toDatabase(text: string | undefined): number {
  if (text === undefined) return 0;
  if (!/^\d{1,5}$/.test(text)) refuse("has a database that is not a number");
  return Number(text);
}

/**
 * Reads a Redis URL, the same for a second tier and a bus. Not with `URL`, which knows no lists of hosts. Options behind a `?` are
 * refused: they would be ignored.
 * @throws {CacheError} ERR_CACHE_INVALID_OPTION for one that cannot be read; its text is not quoted
 */
export function parseRedisUrl(url: string): RedisTarget {
  const pattern = /^(redis|rediss|redis\+sentinel|rediss\+sentinel):\/\/(?:([^@/]*)@)?([^/?#@]+)(?:\/([^?#]*))?$/;
  const match = typeof url === "string" ? pattern.exec(url) : null;
  if (!match) return refuse("cannot be read");
  const [, scheme = "", credentials = "", hosts = "", path = ""] = match;
  const isSentinel = scheme.endsWith("+sentinel");
  const colon = credentials.indexOf(":");
  const addresses = hosts.split(",").map((host) => toAddress(host, isSentinel ? 26_379 : 6_379));
  const kind = isSentinel ? "sentinel" : addresses.length > 1 ? "cluster" : "single";
  const parts = path.split("/").filter(Boolean).map(decode);
  const master = isSentinel ? parts.shift() : undefined;
  if (isSentinel && master === undefined) refuse("names no master behind its sentinels");
  if (kind === "cluster" && parts.length > 0 && parts[0] !== "0") refuse("names a database, which a cluster does not have");
  return {
    kind,
    addresses,
    isTls: scheme.startsWith("rediss"),
    username: decode(colon < 0 ? "" : credentials.slice(0, colon)),
    password: decode(colon < 0 ? credentials : credentials.slice(colon + 1)),
    master,
    database: toDatabase(parts[0]),
  };
}
