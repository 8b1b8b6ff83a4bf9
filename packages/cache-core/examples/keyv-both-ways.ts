// Keyv both ways: larder below keyv, cacheable and cache-manager, and larder's contract over a Keyv store.
// npm install @larder/cache-core @larder/cache-memory keyv@5 cacheable cache-manager
// Save it as keyv-both-ways.mts: `node keyv-both-ways.mts` runs it from Node 22.18 on, `npx tsx keyv-both-ways.mts` on Node 20.
import { CacheOverKeyv, KeyvStore } from "@larder/cache-core/keyv";
import { MemoryCache } from "@larder/cache-memory";
import { createCache } from "cache-manager";
import { Cacheable } from "cacheable";
import Keyv from "keyv";

// One bounded memory for all of them; each has its own namespace in it.
const memory = new MemoryCache<unknown>({ maxEntries: 10_000, maxBytes: 64 * 1024 * 1024 });
const storeNamed = (namespace: string) => new Keyv({ store: new KeyvStore(memory), namespace });

const users = storeNamed("users");
await users.set("1", { name: "Ada" }, 60_000);
console.log(await users.get("1")); // { name: 'Ada' }

const cacheable = new Cacheable({ primary: storeNamed("pages"), ttl: "1h" });
let renders = 0;
const render = async () => `<h1>Home, ${++renders}</h1>`;
console.log(await cacheable.getOrSet("home", render), await cacheable.getOrSet("home", render)); // rendered once

const manager = createCache({ stores: [storeNamed("answers")], ttl: 10_000 });
console.log(await manager.wrap("answer", async () => 42), await manager.wrap("answer", async () => 43)); // 42 42

console.log([...memory.keys()]); // users:1, pages:home, answers:answer
await users.clear();
console.log([...memory.keys()]); // the neighbours stay

// The other way: any Keyv store, here its default Map, keeps larder's contract. null is a value, undefined the miss.
const keyv = new Keyv();
const profiles = new CacheOverKeyv<{ name: string } | null>(keyv, { ttlMs: 60_000, name: "profiles" });
await profiles.set("ada", { name: "Ada" });
await profiles.set("nobody", null);
console.log(await profiles.get("ada"), await profiles.get("nobody"), await profiles.get("unknown")); // { name: 'Ada' } null undefined
console.log((await profiles.lookup("ada")).status, profiles.stats().hits, profiles.stats().misses); // hit 2 1: lookup counts, too

await profiles.close();
await keyv.disconnect();
memory.close();
