import type { Cluster, Redis } from "ioredis";

/** The part of a cluster's client that ioredis keeps to itself. */
interface Sharded {
  readonly shardedSubscribers?: { readonly shardedSubscribers?: ReadonlyMap<string, { getInstance?(): Redis | null }> };
}

const ignore = (): void => {};

/**
 * A node that gives a slot away ends the subscriptions of its channels unasked. ioredis 5 takes that for the answer to a command, finds none that waits,
 * and tells the connection's listeners of an error; from a connection that it is giving up it has taken its own listeners off, while what has
 * come by it is still read. An error that nobody listens to ends the process. So those connections keep a listener, whoever takes them all off.
 */
export function guardShards(cluster: Cluster): void {
  cluster.on("+subscriber", () => {
    for (const shard of (cluster as unknown as Sharded).shardedSubscribers?.shardedSubscribers?.values() ?? []) {
      const connection = shard.getInstance?.();
      if (!connection || Object.hasOwn(connection, "removeAllListeners")) continue;
      connection.removeAllListeners = (...names) => {
        Object.getPrototypeOf(connection).removeAllListeners.apply(connection, names);
        return connection.on("error", ignore);
      };
    }
  });
}
