import { bytesCodec, RedisCache } from "@larder/cache-redis";
import { singleCell } from "../measure.ts";
import { settledBytes } from "../measure-memory.ts";
import type { ScenarioContext, Table } from "../scenario.ts";
import { median, quantile } from "../statistics.ts";
import { probeDuring } from "./redis-probe.ts";

const CONTENDER = "larder RedisCache";
const FROZEN_MS = 2_000;

/** Clears of which the middle one counts. */
const CLEARS = 5;
const BETWEEN_CLEARS_MS = 500;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Milliseconds that a clear takes. */
async function timeClear(cache: RedisCache<Buffer>): Promise<number> {
  const startedAt = performance.now();
  await cache.clear();
  return performance.now() - startedAt;
}

async function fillMany(cache: RedisCache<Buffer>, count: number): Promise<void> {
  const body = Buffer.from("x");
  for (let start = 0; start < count; start += 1_000) {
    await cache.setMany(Array.from({ length: Math.min(1_000, count - start) }, (_, index) => [`many:${start + index}`, body] as const));
  }
}

/** How long `clear()` takes at many keys, and what other clients notice of the sweep behind it. A server of its own: nothing else is in it. */
export async function measureClear(context: ScenarioContext): Promise<Table> {
  const count = context.quick ? 20_000 : 1_000_000;
  context.progress.update(0.9, `clear at ${count} keys`);
  const redis = await context.redis.start();
  const { url } = redis;
  const cache = new RedisCache<Buffer>({ url, namespace: "clear", codec: bytesCodec, writeTimeoutMs: 10_000 });
  await cache.ready();
  await fillMany(cache, count);
  // Of the sweep of a million, which takes minutes at the pace that spares others, a stretch.
  const measuredMs = context.quick ? 500 : 15_000;
  const { latencies: before } = await probeDuring(context, url, () => sleep(measuredMs));
  const { value: firstMs, latencies: during } = await probeDuring(context, url, async () => {
    const tookMs = await timeClear(cache);
    await sleep(measuredMs);
    return tookMs;
  });
  const swept = cache.stats().sweptEntries;
  const clears = [firstMs];
  while (clears.length < CLEARS) {
    await sleep(BETWEEN_CLEARS_MS);
    clears.push(await timeClear(cache));
  }
  const clearMs = median(clears);
  await cache.close();
  await redis.stop();
  const idleP99 = quantile(before, 0.99);
  const busyP99 = quantile(during, 0.99);
  return {
    id: "clear",
    title: `clear() at ${count} keys`,
    columns: [
      { id: "clear", title: "clear()", unit: "ms", better: "lower" },
      { id: "idle", title: "another client's p99 before", unit: "ms", better: "none" },
      { id: "busy", title: "p99 while swept", unit: "ms", better: "lower" },
      { id: "swept", title: "freed meanwhile", unit: "entries", better: "none" },
    ],
    rows: [
      {
        contender: CONTENDER,
        role: "ours",
        note: `clear() is the middle one of ${CLEARS}; the first, of code that had never run, took ${firstMs.toFixed(2)} ms`,
        cells: { clear: singleCell(clearMs), idle: singleCell(idleP99), busy: singleCell(busyP99), swept: singleCell(swept) },
      },
    ],
    targets: [
      { contender: CONTENDER, column: "clear", text: `<= 2 ms (${clearMs.toFixed(2)})`, isMet: clearMs <= 2 },
      {
        contender: CONTENDER,
        column: "busy",
        text: `another client's p99 grows by <= 0.2 ms (${(busyP99 - idleP99).toFixed(2)})`,
        isMet: busyP99 - idleP99 <= 0.2,
      },
    ],
    notes: [
      "A server of its own each; the other client is a process of its own on the same machine.",
      "larder leaves the entries to be swept, and so can clear again. The others free everything before they return.",
    ],
  };
}

interface FrozenInput {
  readonly redisUrl: string;
  readonly redisPid: number;
}

interface FrozenOutput {
  readonly slowest: number;
  readonly openP99: number;
  /** Megabytes. */
  readonly heapGrowth: number;
}

/** What gets cost while Redis is frozen: the first 500 at once, then one by one with the breaker open, and 100,000 for what they leave in the heap. */
export async function frozenOurs(input: unknown): Promise<FrozenOutput> {
  const { redisUrl, redisPid } = input as FrozenInput;
  const cache = new RedisCache<Buffer>({ url: redisUrl, namespace: "frozen", codec: bytesCodec });
  await cache.ready();
  process.kill(redisPid, "SIGSTOP");
  const latencies = await Promise.all(
    Array.from({ length: 500 }, async (_, index) => {
      const startedAt = performance.now();
      await cache.get(`key:${index}`);
      return performance.now() - startedAt;
    }),
  );
  const openLatencies: number[] = [];
  const until = performance.now() + FROZEN_MS / 2;
  while (performance.now() < until) {
    const startedAt = performance.now();
    await cache.get("key");
    openLatencies.push(performance.now() - startedAt);
    await sleep(1);
  }
  const heapBefore = settledBytes();
  for (let index = 0; index < 100_000; index += 1) await cache.get(`key:${index}`);
  const heapGrowth = (settledBytes() - heapBefore) / 1e6;
  process.kill(redisPid, "SIGCONT");
  await cache.close();
  return { slowest: Math.max(...latencies), openP99: quantile(openLatencies, 0.99), heapGrowth };
}

/** The same as a table, with its targets. */
export async function measureFrozen(context: ScenarioContext): Promise<Table> {
  context.progress.update(0.95, "gets while Redis is frozen");
  const redis = await context.redis.start();
  const input: FrozenInput = { redisUrl: redis.url, redisPid: redis.pid };
  const options = { execArgv: ["--expose-gc"], timeoutMs: 60_000, isQuiet: true };
  const { slowest, openP99, heapGrowth } = await context
    .runTask<FrozenOutput>("frozenOurs", input, options)
    .result.finally(() => redis.stop());
  return {
    id: "frozen",
    title: "Gets while Redis is frozen (SIGSTOP)",
    columns: [
      { id: "slowest", title: "slowest of 500", unit: "ms", better: "lower" },
      { id: "open", title: "p99 with the breaker open", unit: "ms", better: "lower" },
      { id: "heap", title: "heap after 100,000 more", unit: "MB", better: "lower" },
    ],
    rows: [
      {
        contender: CONTENDER,
        role: "ours",
        cells: { slowest: singleCell(slowest), open: singleCell(openP99), heap: singleCell(heapGrowth, "after a full collection") },
      },
    ],
    targets: [
      { contender: CONTENDER, column: "slowest", text: `<= 60 ms (${slowest.toFixed(1)})`, isMet: slowest <= 60 },
      { contender: CONTENDER, column: "open", text: `<= 1 ms (${openP99.toFixed(2)})`, isMet: openP99 <= 1 },
      { contender: CONTENDER, column: "heap", text: `< 10 MB (${heapGrowth.toFixed(1)})`, isMet: heapGrowth < 10 },
    ],
  };
}
