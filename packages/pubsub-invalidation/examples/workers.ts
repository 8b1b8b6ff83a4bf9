// Coherent caches in the worker processes of one machine, without Redis: the primary gives the invalidations their order.
// In a service, `hub.attachCluster(cluster)` in the primary and `new WorkerInvalidationBus()` in each worker; here, threads stand for workers.
// npm install @larder/pubsub-invalidation @larder/cache-core @larder/cache-memory
// Save it as workers.mts: `node workers.mts` runs it from Node 22.18 on, `npx tsx workers.mts` on Node 20.
import { once } from "node:events";
import { MessageChannel } from "node:worker_threads";
import { MemoryCache } from "@larder/cache-memory";
import { createCoherentCache } from "@larder/pubsub-invalidation";
import { threadLink, WorkerBusHub, WorkerInvalidationBus } from "@larder/pubsub-invalidation/worker";

const hub = new WorkerBusHub();
let stored = "first"; // stands for the database

const workers = [1, 2].map(() => {
  const { port1, port2 } = new MessageChannel();
  hub.attachThread(port1);
  const bus = new WorkerInvalidationBus({ link: threadLink(port2) });
  const cache = createCoherentCache<string>({ l1: new MemoryCache({ maxEntries: 100 }), bus, namespace: "greetings" });
  return { bus, cache, port: port2 };
});
await Promise.all(workers.map(({ cache }) => cache.ready()));
const [a, b] = workers;
if (!a || !b) throw new Error("there are two");

console.log(await b.cache.get("greeting", () => stored)); // first
stored = "second";
console.log(await a.cache.invalidate("greeting")); // { propagated: true, pending: 0 }
while (b.cache.has("greeting")) await new Promise(setImmediate); // one delivery
console.log(await b.cache.get("greeting", () => stored)); // second

for (const { bus, cache, port } of workers) {
  await cache.close();
  bus.close();
  port.close();
  await once(port, "close");
}
hub.close();
