import { CacheError, type RandomSource, systemRandom } from "@larder/cache-core";
import { Cluster, Redis, type RedisOptions } from "ioredis";

/** How `openClient` sets a client up. */
export interface OpenClientOptions {
  /** Spreads reconnects, so that a fleet does not come back at one instant. @default the machine's */
  readonly random?: RandomSource;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

interface Target {
  readonly kind: "single" | "cluster" | "sentinel";
  readonly addresses: readonly Address[];
  readonly isTls: boolean;
  readonly username: string;
  readonly password: string;
  /** The path: a database's number, or a Sentinel master's name and, after it, a database's number. */
  readonly path: readonly string[];
}

/** The text is not quoted: it may hold a password. */
function refuse(reason: string): never {
  throw new CacheError(
    "ERR_CACHE_INVALID_OPTION",
    `url ${reason}; expected redis://[user:password@]host[:port][/db], rediss://…, redis://host,host,… for a cluster, or redis+sentinel://host,host/name`,
  );
}

function toAddress(text: string, defaultPort: number): Address {
  const match = /^(\[[0-9a-fA-F:.%]+\]|[^:[\]/?#\s]+)(?::(\d{1,5}))?$/.exec(text);
  const port = match?.[2] === undefined ? defaultPort : Number(match[2]);
  if (!match || port < 1 || port > 65_535) refuse("has a host or port that cannot be read");
  return { host: (match[1] as string).replace(/^\[|\]$/g, ""), port };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return refuse("has a user or password that is not percent-encoded");
  }
}

/** Reads a URL. Not with `URL`, which knows no lists of hosts. */
function parseUrl(url: string): Target {
  const match = /^(redis|rediss|redis\+sentinel|rediss\+sentinel):\/\/(?:([^@/]*)@)?([^/?#@]+)(?:\/([^?#]*))?$/.exec(url);
  if (!match) return refuse("cannot be read");
  const [, scheme = "", credentials = "", hosts = "", path = ""] = match;
  const isSentinel = scheme.endsWith("+sentinel");
  const colon = credentials.indexOf(":");
  const addresses = hosts.split(",").map((host) => toAddress(host, isSentinel ? 26_379 : 6_379));
  return {
    kind: isSentinel ? "sentinel" : addresses.length > 1 ? "cluster" : "single",
    addresses,
    isTls: scheme.startsWith("rediss"),
    username: decode(colon < 0 ? "" : credentials.slice(0, colon)),
    password: decode(colon < 0 ? credentials : credentials.slice(colon + 1)),
    path: path.split("/").filter(Boolean).map(decode),
  };
}

function toDatabase(text: string | undefined): number {
  if (text === undefined) return 0;
  if (!/^\d{1,5}$/.test(text)) refuse("has a database that is not a number");
  return Number(text);
}

/**
 * Settings for a client whose calls are bounded by the cache and not by itself: nothing is queued while there is no connection, nothing
 * is repeated behind the caller's back, and a socket that answers nothing for a second is given up.
 */
function clientOptions(target: Target, random: RandomSource): RedisOptions {
  return {
    ...(target.username === "" ? {} : { username: target.username }),
    ...(target.password === "" ? {} : { password: target.password }),
    ...(target.isTls ? { tls: {} } : {}),
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    connectTimeout: 2_000,
    socketTimeout: 1_000,
    keepAlive: 10_000,
    retryStrategy: (times: number) => Math.min(50 * 2 ** Math.min(times, 10), 2_000) * (0.75 + random.next() / 4),
  };
}

/** Reads a URL, so that what is wrong with it is known before anything is opened. @returns what `openClient` opens */
export function planClient(
  url: string,
  { random = systemRandom }: OpenClientOptions = {},
): { readonly isCluster: boolean; readonly open: () => Redis | Cluster } {
  const target = parseUrl(url);
  const settings = clientOptions(target, random);
  if (target.kind === "cluster") {
    if (target.path.length > 0 && target.path[0] !== "0") refuse("names a database, which a cluster does not have");
    return { isCluster: true, open: () => openCluster(target, settings, random) };
  }
  if (target.kind === "sentinel") {
    const [name, database] = target.path;
    if (name === undefined) return refuse("names no master behind its sentinels");
    const options: RedisOptions = { ...settings, sentinels: [...target.addresses], name, db: toDatabase(database) };
    return { isCluster: false, open: () => new Redis(options) };
  }
  const options: RedisOptions = { ...settings, ...(target.addresses[0] as Address), db: toDatabase(target.path[0]) };
  return { isCluster: false, open: () => new Redis(options) };
}

function openCluster(target: Target, settings: RedisOptions, random: RandomSource): Cluster {
  // A node is reconnected by the cluster client, which asks anew who serves its slots.
  const { retryStrategy, enableOfflineQueue, ...ofNode } = settings;
  return new Cluster([...target.addresses], {
    redisOptions: ofNode,
    enableOfflineQueue: false,
    scaleReads: "master",
    slotsRefreshTimeout: 1_000,
    slotsRefreshInterval: 10_000,
    retryDelayOnFailover: 100,
    maxRedirections: 4,
    clusterRetryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 10), 2_000) * (0.75 + random.next() / 4),
  });
}

/**
 * Opens a client as the cache wants it. The same URL serves the invalidation bus, which makes connections of its own from a client.
 * @throws {CacheError} ERR_CACHE_INVALID_OPTION for a URL that cannot be read; its text is not quoted
 */
export function openClient(url: string, options: OpenClientOptions = {}): Redis | Cluster {
  return planClient(url, options).open();
}
