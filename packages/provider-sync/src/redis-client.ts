import { CacheError, type Clock } from "@larder/cache-core";

/** What is asked of an `ioredis` client (`Redis` or `Cluster`). It stays the caller's to close. */
export interface RedisClient {
  eval(script: string, numberOfKeys: number, ...keysAndArguments: Array<string | number | Buffer>): Promise<unknown>;
  hmgetBuffer(key: string, ...fields: string[]): Promise<Array<Buffer | null>>;
}

/** A time to live as Redis takes it: whole milliseconds, and for `Infinity` longer than any server runs. */
export function toExpiryMs(ttlMs: number): number {
  return Math.min(Math.ceil(ttlMs), Number.MAX_SAFE_INTEGER);
}

/** Waits for a Redis answer no longer than `timeoutMs`: a client without connection queues commands for ever. */
export function withDeadline<T>(work: Promise<T>, timeoutMs: number, clock: Clock): Promise<T> {
  return new Promise((resolve, reject) => {
    const onTimeout = (): void => reject(new CacheError("ERR_CACHE_TIMEOUT", `Redis did not answer within ${timeoutMs} ms`));
    const cancel = clock.setTimer(onTimeout, timeoutMs);
    // ioredis errors carry the command with its arguments; only the fact is told.
    const onFailure = (error: unknown): void => reject(CacheError.is(error) ? error : new CacheError("ERR_CACHE_BACKEND", "Redis failed"));
    work.then(resolve, onFailure).finally(cancel);
  });
}
