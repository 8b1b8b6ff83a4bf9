import { type BackendCall, Budget, type FillOptions, systemClock } from "@larder/cache-core";
import { uniquePrefix } from "@larder/cache-testing";
import { RedisCache, type RedisCacheOptions } from "../src/index.ts";

/** The shared server that the launcher started. */
export const redisUrl: string = process.env.REDIS_URL ?? "redis://127.0.0.1:6379";

/** A call with a budget that does not run out by itself. */
export function call(totalMs = 5_000): BackendCall {
  return { budget: new Budget(totalMs, systemClock) };
}

/** Deadlines that a busy machine does not run into: for tests in which no deadline plays a part. */
export const patient: { readonly timeoutMs: number; readonly writeTimeoutMs: number } = { timeoutMs: 2_000, writeTimeoutMs: 2_000 };
/** The product's own deadlines, for tests of what happens at them. */
export const prompt: { readonly timeoutMs: number; readonly writeTimeoutMs: number } = { timeoutMs: 50, writeTimeoutMs: 250 };

/** A cache of its own in the shared server, or wherever `options` say, ready to be used. */
export async function openCache<V = unknown>(options: Partial<RedisCacheOptions<V>> = {}): Promise<RedisCache<V>> {
  const where = options.client || options.port ? {} : { url: redisUrl };
  const cache = new RedisCache<V>({ ...where, namespace: "test", keyPrefix: uniquePrefix(), ...patient, ...options });
  await cache.ready();
  return cache;
}

/** How a value is filled when nothing about it matters. */
export const plain: FillOptions = { ttlMs: 60_000, staleMs: 0, tags: [] };

/** How long a promise takes, in milliseconds, and what it gave. */
export async function timed<T>(run: () => Promise<T>): Promise<{ readonly value: T; readonly durationMs: number }> {
  const startedAt = performance.now();
  const value = await run();
  return { value, durationMs: performance.now() - startedAt };
}
