import { CacheError, describeValue } from "@larder/cache-core";
import type { Cluster, Redis } from "ioredis";
import { IoredisPort } from "./ioredis-port.ts";
import { planClient } from "./open-client.ts";
import type { RedisCacheOptions } from "./options.ts";
import type { RedisPort } from "./redis-port.ts";

/** What a cache will talk through, once all its other options have been checked: a client that was opened sooner would be left behind. */
export interface PortPlan {
  readonly isCluster: boolean;
  readonly open: () => RedisPort;
}

/** Checks what the options give to connect by. Opens nothing. @throws {CacheError} ERR_CACHE_INVALID_OPTION when it is not exactly one thing, or cannot be used */
export function planPort<V>({ client, url, port }: RedisCacheOptions<V>): PortPlan {
  if ([client, url, port].filter((given) => given !== undefined).length !== 1)
    throw new CacheError("ERR_CACHE_INVALID_OPTION", "exactly one of client, url and port must be given");
  if (url !== undefined) {
    const { isCluster, open } = planClient(url);
    return { isCluster, open: () => new IoredisPort(open(), true) };
  }
  if (client !== undefined) {
    checkClient(client);
    return { isCluster: client.isCluster === true, open: () => new IoredisPort(client, false) };
  }
  const given = checkPort(port);
  return { isCluster: false, open: () => given };
}

function checkPort(port: RedisPort | undefined): RedisPort {
  if (typeof port?.run !== "function" || typeof port.open !== "function")
    throw new CacheError("ERR_CACHE_INVALID_OPTION", `port must be a RedisPort, got ${describeValue(port)}`);
  return port;
}

/** A client must be one, and do what the tier relies on. */
function checkClient(client: Redis | Cluster): void {
  const given = client as Partial<Redis> | null;
  if (typeof given?.mgetBuffer !== "function" || typeof given.on !== "function" || typeof given.options !== "object")
    throw new CacheError("ERR_CACHE_INVALID_OPTION", `client must be a Redis or Cluster of ioredis, got ${describeValue(client)}`);
  const { keyPrefix, role, scaleReads = "master" } = given.options as Readonly<Record<"keyPrefix" | "role" | "scaleReads", unknown>>;
  if (keyPrefix)
    throw new CacheError(
      "ERR_CACHE_INVALID_OPTION",
      "client must have no keyPrefix: channels would not carry it; give keyPrefix beside client",
    );
  if (role === "slave" || (client.isCluster && scaleReads !== "master"))
    throw new CacheError(
      "ERR_CACHE_INVALID_OPTION",
      'client must have scaleReads or role "master": a replica may answer with what was invalidated',
    );
}
