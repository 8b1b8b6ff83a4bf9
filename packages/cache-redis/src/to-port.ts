import { CacheError } from "@larder/cache-core";
import { IoredisPort } from "./ioredis-port.ts";
import { openClient } from "./open-client.ts";
import { checkClient, type RedisCacheOptions } from "./options.ts";
import type { RedisPort } from "./redis-port.ts";

/** The port over what the options give. @throws {CacheError} ERR_CACHE_INVALID_OPTION when that is not exactly one thing, or cannot be used */
export function toPort<V>({ client, url, port }: RedisCacheOptions<V>): { readonly port: RedisPort; readonly isCluster: boolean } {
  if ([client, url, port].filter((given) => given !== undefined).length !== 1)
    throw new CacheError("ERR_CACHE_INVALID_OPTION", "exactly one of client, url and port must be given");
  if (port) return { port, isCluster: false };
  const opened = client ?? openClient(url as string);
  checkClient(opened);
  return { port: new IoredisPort(opened, client === undefined), isCluster: opened.isCluster };
}
