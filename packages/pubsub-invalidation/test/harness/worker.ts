import { writeFileSync } from "node:fs";
import type { InvalidationBus, StoredEntry } from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";
import { RedisCache } from "@larder/cache-redis";
import { Redis } from "ioredis";
import { createCoherentCache, RedisInvalidationBus } from "../../src/index.ts";
import { WorkerInvalidationBus } from "../../src/worker.ts";
import type { MemorySample } from "./memory-slope.ts";
import { ACKNOWLEDGED, nowNs, READ, RunLog, WRITE } from "./run-log.ts";

/** What the parent hands over, as JSON in the environment. */
export interface WorkerPlan {
  readonly seed: number;
  readonly runMs: number;
  /** Reads and writes that this worker logs at least, however long a busy machine takes for them. */
  readonly leastReads: number;
  readonly leastWrites: number;
  readonly keys: number;
  /** Where the cache's Redis is, through this worker's own proxy; `undefined`: the workers' bus. */
  readonly redisUrl: string | undefined;
  readonly hasSecondTier: boolean;
  /** Joins no bus: the check must then find what is wrong. */
  readonly isBlind: boolean;
  readonly databaseUrl: string;
  readonly logFile: string;
}

const plan = JSON.parse(process.env.HARNESS_PLAN as string) as WorkerPlan;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** mulberry32: the workload of a seed is the same each time, though its timing is not. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

let unhandled = 0;
process.on("unhandledRejection", () => {
  unhandled += 1;
});

const database = new Redis(plan.databaseUrl);
const random = dice(plan.seed);
const log = new RunLog();
let [reads, writes] = [0, 0];
const bus: InvalidationBus = plan.redisUrl ? new RedisInvalidationBus({ url: plan.redisUrl }) : new WorkerInvalidationBus();
const l1 = new MemoryCache<StoredEntry<number>>({ maxEntries: 1_000 });
const l2 =
  plan.hasSecondTier && plan.redisUrl ? new RedisCache<number>({ namespace: "harness", url: plan.redisUrl, ttlMs: 600_000 }) : undefined;
const cache = createCoherentCache<number>({
  l1,
  namespace: "harness",
  ttlMs: 600_000,
  ...(l2 && { l2 }),
  ...(plan.isBlind ? {} : { bus }),
});

async function load(key: number): Promise<number> {
  const before = random() < 0.5;
  if (before) await sleep(random() * 20);
  const version = Number((await database.get(`v:${key}`)) ?? 0);
  // An old value in hand while the world goes on is what fences are for.
  if (!before) await sleep(random() * 40);
  return version;
}

/** @param beginNs when the running callback began: caches ask for the time once in it, and a machine may let it stand still at any point */
async function read(key: number, beginNs: number): Promise<void> {
  const version = await cache.get(`${key}`, () => load(key));
  log.add(READ, key, beginNs, nowNs(), version ?? -1);
  reads += 1;
}

async function invalidateUntilTold(key: number, version: number): Promise<void> {
  for (;;) {
    const beginNs = nowNs();
    const { propagated } = await cache.invalidate(`${key}`);
    if (propagated) return log.add(ACKNOWLEDGED, key, beginNs, nowNs(), version);
    await sleep(100);
  }
}

const repeated = new Set<Promise<void>>();

async function write(key: number): Promise<void> {
  const beginNs = nowNs();
  const version = await database.incr(`v:${key}`);
  const { propagated } = await cache.invalidate(`${key}`);
  log.add(WRITE, key, beginNs, nowNs(), version, propagated ? 1 : 0);
  writes += 1;
  if (propagated) return;
  const again = invalidateUntilTold(key, version).finally(() => repeated.delete(again));
  repeated.add(again);
}

function blockEventLoop(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

/** Sixty samples over a long run; a full collection more often than twice a second would be what a short one measures. */
const MEMORY_EVERY_MS = Math.max(500, plan.runMs / 60);
const memory: MemorySample[] = [];

function sampleMemory(): void {
  // Started with --expose-gc: what is left after it is held by something.
  globalThis.gc?.();
  const { heapUsed, rss, arrayBuffers } = process.memoryUsage();
  memory.push({ atMs: performance.now(), heapBytes: heapUsed, residentBytes: rss - arrayBuffers });
}

const keyOf = (): number => Math.floor(random() ** 2 * plan.keys);
const pending = new Set<Promise<void>>();
const start = (work: Promise<void>): void => {
  const tracked = work.finally(() => pending.delete(tracked));
  pending.add(tracked);
};

/** By how much a run is prolonged at most, in milliseconds, on a machine that lets it do next to nothing. */
const PATIENCE_MS = 30_000;
/** What of a process's memory is looked at needs so many samples. */
const LEAST_SAMPLES = 3;

function isOver(endAt: number): boolean {
  const now = performance.now();
  if (now < endAt) return false;
  const isEnough = reads >= plan.leastReads && writes >= plan.leastWrites && memory.length >= LEAST_SAMPLES;
  return isEnough || now >= endAt + PATIENCE_MS;
}

async function main(): Promise<void> {
  const startedAt = performance.now();
  const endAt = startedAt + plan.runMs;
  process.send?.({ isBegun: true });
  while (!isOver(endAt)) {
    if (performance.now() - startedAt >= MEMORY_EVERY_MS * memory.length) sampleMemory();
    const beginNs = nowNs();
    for (let round = 0; round < 20 && pending.size < 200; round += 1) start(read(keyOf(), beginNs));
    if (random() < 0.05) start(write(keyOf()));
    if (random() < 0.0005) blockEventLoop(100 + random() * 1_500);
    await sleep(2 + random() * 6);
  }
  await Promise.all([...pending]);
  await Promise.race([Promise.all([...repeated]), sleep(5_000)]);
  writeFileSync(plan.logFile, log.toBytes());
  await cache.close();
  await l2?.close();
  await bus.close();
  database.disconnect();
  process.send?.({ unhandled, memory, stats: cache.stats(), bus: "stats" in bus ? (bus as RedisInvalidationBus).stats() : undefined });
  // What is left open would keep the process from ending, and the parent would notice.
  process.disconnect();
}

await main();
