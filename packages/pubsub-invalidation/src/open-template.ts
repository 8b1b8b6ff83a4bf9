import type { RedisTarget } from "@larder/cache-core";
import type { ClusterOptions, RedisOptions } from "ioredis";
import type { IoredisClient } from "./duplicate-client.ts";

/** A client for what a URL names. It connects to nothing: the port takes its settings over for connections of its own. */
export function openTemplate({ Cluster, Redis }: Pick<typeof import("ioredis"), "Cluster" | "Redis">, target: RedisTarget): IoredisClient {
  const { kind, addresses, username, password, isTls, master, database: db } = target;
  // Sentinels and what they name are spoken to in clear unless that is asked for by itself.
  const security: RedisOptions = isTls ? { tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true } : {};
  // Where both are empty, ioredis sends none.
  const access: RedisOptions = { username, password, ...security };
  if (kind === "cluster") {
    // A certificate is for a name: by default ioredis connects to the address behind it.
    const byName: ClusterOptions = isTls ? { dnsLookup: (name, callback) => callback(null, name) } : {};
    return new Cluster([...addresses], { redisOptions: access, lazyConnect: true, ...byName });
  }
  const where: RedisOptions = kind === "sentinel" ? { sentinels: [...addresses], name: master as string } : { ...addresses[0] };
  return new Redis({ ...access, ...where, db, lazyConnect: true });
}
