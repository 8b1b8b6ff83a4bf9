// One load for many callers, an upstream that fails, and an invalidation in between: what is served, and when it says so.
// npm install @larder/cache-core @larder/cache-memory
// Save it as stale-but-honest.mts: `node stale-but-honest.mts` runs it from Node 22.18 on, `npx tsx stale-but-honest.mts` on Node 20.
import { setTimeout } from "node:timers/promises";
import { CacheError, TieredCache } from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";

const prices = new TieredCache<number>({
  l1: new MemoryCache({ maxEntries: 1_000 }),
  ttlMs: 40,
  staleIfErrorMs: 60_000, // an old price for a minute rather than none
  jitter: 0,
  timeoutMs: 1_000,
});

let price = 3;
let isUp = true;
let loads = 0;
const load = async () => {
  loads += 1;
  if (!isUp) throw new Error("the upstream is down");
  return price;
};

await Promise.all(Array.from({ length: 100 }, () => prices.getOrSet("small", load)));
console.log(loads); // 1, for a hundred callers

isUp = false;
await setTimeout(60); // past its time to live
console.log(await prices.getOrSet("small", load), prices.stats().staleHits); // 3 1: old, and counted as such

await prices.invalidate("small"); // somebody knows that it is wrong: no policy gives it back now
try {
  await prices.getOrSet("small", load);
} catch (error) {
  console.log(String(error)); // Error: the upstream is down; the loader's own error, not wrapped
}

isUp = true;
price = 4;
console.log(await prices.getOrSet("small", load)); // 4

// The signal ends what the load waits for: hand it to fetch, or to whatever takes one.
const slowly = ({ signal }: { signal: AbortSignal }) => setTimeout(10_000, 5, { signal });
try {
  await prices.getOrSet("large", slowly, { timeoutMs: 20 });
} catch (error) {
  if (CacheError.is(error)) console.log(error.code, error.retryable); // ERR_CACHE_TIMEOUT true
}
await prices.close();
