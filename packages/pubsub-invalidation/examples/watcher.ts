// Is it true that invalidations arrive? Two processes in one, each with a watcher that asks the other what it still holds.
// In a service: a sample of 1 % and the default delays of 1, 5 and 30 s; here, every invalidation after a tenth of a second.
// npm install @larder/pubsub-invalidation @larder/cache-core @larder/cache-memory ioredis
// Save it as watcher.mts: `node watcher.mts` runs it from Node 22.18 on, `npx tsx watcher.mts` on Node 20.
import { MemoryCache } from "@larder/cache-memory";
import { createCoherentCache, RedisInvalidationBus } from "@larder/pubsub-invalidation";
import { CoherenceWatcher, redisWatcherPort } from "@larder/pubsub-invalidation/watcher";
import { Redis } from "ioredis";

// Connects to nothing itself: bus and watcher take from it where to connect.
const client = new Redis(process.env.REDIS_URL ?? "redis://127.0.0.1:6379", { lazyConnect: true });
const namespace = "watched";

const processes = ["a", "b"].map((name) => {
  const bus = new RedisInvalidationBus({ client });
  const cache = createCoherentCache<string>({ l1: new MemoryCache({ maxEntries: 1_000 }), bus, namespace });
  const watcher = new CoherenceWatcher({
    cache,
    namespace,
    port: redisWatcherPort(client, "larder:watch:watched"),
    sampleRate: 1,
    delaysMs: [100],
    onInconsistent: ({ key, afterMs }) => console.error(`${name}: a peer still held an old ${key} after ${afterMs} ms`),
  });
  return { bus, cache, watcher };
});
const [a, b] = processes;
if (!a || !b) throw new Error("there are two");
await Promise.all([a.cache.ready(), b.cache.ready()]);

await b.cache.get("theme", () => "light");
// Questions that were asked before the peer listened are lost, and counted as unanswered.
while (a.watcher.stats().answers === 0) {
  await a.cache.invalidate("theme");
  await new Promise((resolve) => setTimeout(resolve, 50));
}
const { inconsistent, sampled } = a.watcher.stats();
console.log(`${inconsistent} of ${sampled} sampled invalidations left something old behind`); // 0 of …

for (const { bus, cache, watcher } of processes) {
  watcher.close();
  await cache.close();
  bus.close();
}
client.disconnect();
