import type { RandomSource } from "@larder/cache-core";
import type { Cluster, Redis } from "ioredis";
import { guardShards } from "./guard-shards.ts";
import { reconnectPauseMs } from "./ioredis-options.ts";

/** A client of ioredis 5 or 6. */
export type IoredisClient = Redis | Cluster;

/** Whether a client is one of a cluster. */
export function isClusterClient(client: IoredisClient): client is Cluster {
  return "isCluster" in client && client.isCluster === true;
}

/** How a client of our own is made from a caller's. */
export interface DuplicateOptions {
  /** Laid over the caller's: `dataOptions` or `subscriberOptions`. */
  readonly settings: Record<string, unknown>;
  /** Whether it subscribes by sharded pub/sub. */
  readonly isSharded: boolean;
  /** Spreads the pauses between attempts to connect. */
  readonly random: RandomSource;
}

/** A connection of our own to where a caller's client goes. The caller's settings say how to get there; ours how to behave. */
export function duplicateClient(template: IoredisClient, { settings, isSharded, random }: DuplicateOptions): IoredisClient {
  if (!isClusterClient(template)) {
    const client = template.duplicate(settings);
    // A token that ran out, or a password that was changed: whoever owns the template keeps it up to date.
    return client.on("close", () => {
      client.options.password = template.options.password as string;
    });
  }
  const cluster = template.duplicate([], {
    lazyConnect: false,
    enableAutoPipelining: false,
    // Each node's connection is made when it is first needed.
    redisOptions: { ...template.options.redisOptions, ...settings, lazyConnect: true },
    enableOfflineQueue: false,
    shardedSubscribers: isSharded,
    clusterRetryStrategy: (times: number) => reconnectPauseMs(times, random),
    slotsRefreshTimeout: 1_000,
    // It would ask sixteen times, 100 ms apart. A slot that is being moved stays so for longer than a call may take; one that was moved is found by the second.
    maxRedirections: 3,
    retryDelayOnTryAgain: 1,
  });
  if (isSharded) guardShards(cluster);
  return cluster;
}
