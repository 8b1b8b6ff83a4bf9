import { parseRedisUrl, type RandomSource, type RedisTarget, systemRandom } from "@larder/cache-core";
import { Cluster, Redis, type RedisOptions } from "ioredis";

/** How `openClient` sets a client up. */
export interface OpenClientOptions {
  /** Spreads reconnects, so that a fleet does not come back at one instant. @default the machine's */
  readonly random?: RandomSource;
}

type ClientSettings = RedisOptions & { readonly retryStrategy: (times: number) => number; readonly enableOfflineQueue: boolean };

/**
 * Settings for a client whose calls are bounded by the cache and not by itself: nothing is queued while there is no connection, nothing
 * is repeated behind the caller's back, and a socket that answers nothing for a second is given up.
 */
function clientOptions(target: RedisTarget, random: RandomSource): ClientSettings {
  return {
    // Where both are empty, ioredis sends none.
    username: target.username,
    password: target.password,
    // Sentinels and what they name are spoken to in clear unless that is asked for by itself.
    ...(target.isTls ? { tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true } : {}),
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    connectTimeout: 2_000,
    socketTimeout: 1_000,
    // One sentinel that hangs must not keep the others from being asked. (ioredis' `failoverDetector` is off: news of a failover that comes while a client asks
    // for the master ends it for good; 1 of 60 each time that a master was killed.)
    sentinelCommandTimeout: 1_000,
    keepAlive: 10_000,
    retryStrategy: (times: number) => Math.min(50 * 2 ** Math.min(times, 10), 2_000) * (0.75 + random.next() / 4),
  };
}

/** Reads a URL, so that what is wrong with it is known before anything is opened. @returns what `openClient` opens */
export function planClient(
  url: string,
  { random = systemRandom }: OpenClientOptions = {},
): { readonly isCluster: boolean; readonly open: () => Redis | Cluster } {
  const target = parseRedisUrl(url);
  const settings = clientOptions(target, random);
  const { kind, addresses, master, database: db } = target;
  if (kind === "cluster") return { isCluster: true, open: () => openCluster(target, settings) };
  const where: RedisOptions = kind === "sentinel" ? { sentinels: [...addresses], name: master as string } : { ...addresses[0] };
  return { isCluster: false, open: () => keepToDatabase(new Redis({ ...settings, ...where, db })) };
}

/**
 * A server without the database of the URL, or that does not let its user select it, counts as away: ioredis tells the error and goes on in database 0, which is
 * somebody else's. (Its `reconnectOnError` is not asked about the commands that ioredis 6 greets a server with.)
 */
function keepToDatabase(client: Redis): Redis {
  return client.on("error", (error: Error & { readonly command?: { readonly name?: string } }) => {
    if (error.command?.name === "select") client.disconnect(true);
  });
}

function openCluster(target: RedisTarget, { retryStrategy, enableOfflineQueue, ...ofNode }: ClientSettings): Cluster {
  return new Cluster([...target.addresses], {
    // A node is reconnected by the cluster client, which asks anew who serves its slots.
    redisOptions: ofNode,
    clusterRetryStrategy: retryStrategy,
    enableOfflineQueue,
    // A certificate is for a name: by default ioredis connects to the address behind it.
    ...(target.isTls ? { dnsLookup: (name, callback) => callback(null, name) } : {}),
    scaleReads: "master",
    slotsRefreshTimeout: 1_000,
    slotsRefreshInterval: 10_000,
    retryDelayOnFailover: 100,
    maxRedirections: 4,
    // A slot that is being moved stays so for longer than a call may take: told at once, it is no sign of a server that does not answer.
    retryDelayOnTryAgain: 1,
  });
}

/**
 * Opens a client as the cache wants it. The same URL serves the invalidation bus, which makes connections of its own from a client.
 * But for a cluster's, its `error` events are heard, so that ioredis writes none of them to the console: who wants them logged listens as well, and leaves
 * out `error.command.args`.
 * @throws {CacheError} ERR_CACHE_INVALID_OPTION for a URL that cannot be read; its text is not quoted
 */
export function openClient(url: string, options: OpenClientOptions = {}): Redis | Cluster {
  return planClient(url, options).open();
}
