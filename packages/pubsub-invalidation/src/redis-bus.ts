import { CacheError, checkOptions, describeValue, type OptionNames, parseRedisUrl, systemClock, systemRandom } from "@larder/cache-core";
import type { BusPort } from "./bus-port.ts";
import type { IoredisClient } from "./duplicate-client.ts";
import { createIoredisPort } from "./ioredis-port.ts";
import { PORT_BUS_OPTIONS, type PortBusOptions, PortInvalidationBus } from "./port-bus.ts";

/** How a bus over Redis is made. Exactly one of `client`, `url` and `port` is given. */
export interface RedisInvalidationBusOptions extends PortBusOptions {
  /** An ioredis client, whose settings are taken over for two connections of our own. It stays the caller's: it is neither used nor closed. But for a cluster's, a password that it is given later (`client.options.password`) counts from the next connection on. It must have no `keyPrefix` of its own. */
  readonly client?: IoredisClient;
  /** Where to connect, as `RedisCache` takes it: `redis://[user:password@]host[:port][/db]`, `rediss://…`, `redis://host,host,…` for a cluster, `redis+sentinel://host,host/name`. */
  readonly url?: string;
  /** Another kind of client, or none: the simulator's. Closed with the bus. */
  readonly port?: BusPort;
  /** Whether messages go by sharded pub/sub, which needs Redis 7. Must be what the second tier does. @default true on a cluster, else false */
  readonly isSharded?: boolean;
}

const OPTIONS: OptionNames<RedisInvalidationBusOptions> = { ...PORT_BUS_OPTIONS, client: true, url: true, port: true, isSharded: true };
/** As many as the second tier has by default on a cluster. */
const CLUSTER_LANES = 16;

/** What a bus will talk through. Opens nothing. */
function plan(options: RedisInvalidationBusOptions): { readonly port: BusPort; readonly isCluster: boolean } {
  checkOptions(options, OPTIONS);
  const { client, url, port, isSharded, timeoutMs = 1_000, clock = systemClock, random = systemRandom } = options;
  const given = [client, url, port].filter((choice) => choice !== undefined);
  if (given.length !== 1)
    throw new CacheError("ERR_CACHE_INVALID_OPTION", `exactly one of client, url and port must be given, got ${given.length}`);
  if (port !== undefined) return { port, isCluster: false };
  if (client !== undefined && typeof client?.duplicate !== "function")
    throw new CacheError("ERR_CACHE_INVALID_OPTION", `client must be a Redis or Cluster of ioredis, got ${describeValue(client)}`);
  if (client?.options?.keyPrefix)
    throw new CacheError(
      "ERR_CACHE_INVALID_OPTION",
      "client must have no keyPrefix: channels would not carry it; give keyPrefix beside client",
    );
  const target = client ?? parseRedisUrl(url as string);
  const isCluster = "addresses" in target ? target.kind === "cluster" : target.isCluster === true;
  return { port: createIoredisPort(target, { isSharded, timeoutMs, clock, random }), isCluster };
}

/**
 * Invalidations by Redis pub/sub, with exact recovery of what was missed from a log in Redis. Connects by itself and goes on trying for
 * ever; Redis may be absent when the bus is made.
 */
export class RedisInvalidationBus extends PortInvalidationBus {
  /** @throws {CacheError} ERR_CACHE_INVALID_OPTION when an option is out of range */
  constructor(options: RedisInvalidationBusOptions) {
    const { port, isCluster } = plan(options);
    super(port, isCluster ? { lanes: CLUSTER_LANES, ...options } : options);
  }
}
