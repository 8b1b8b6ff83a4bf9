import { CacheError, type Clock } from "@larder/cache-core";

/**
 * Waits for `work` no longer than `timeoutMs`. The work itself goes on; its late failure is nobody's.
 * @throws {CacheError} ERR_CACHE_TIMEOUT
 */
export function withPatience<T>(what: string, work: Promise<T>, timeoutMs: number, clock: Clock): Promise<T> {
  return new Promise((resolve, reject) => {
    const { cancel } = startPatience(what, timeoutMs, clock, reject);
    work.then(resolve, reject).finally(cancel);
  });
}

/** A deadline that moves on with each sign of life. */
export interface Patience {
  /** Something came: the time begins anew. */
  renew(): void;
  cancel(): void;
}

/** Calls `onEnd` with an ERR_CACHE_TIMEOUT when nothing came for `timeoutMs`. */
export function startPatience(what: string, timeoutMs: number, clock: Clock, onEnd: (error: CacheError) => void): Patience {
  let isOver = false;
  let cancelTimer = (): void => {};
  const end = (): void => {
    if (!isOver) onEnd(new CacheError("ERR_CACHE_TIMEOUT", `${what} did not answer within ${timeoutMs} ms`, { retryable: true }));
  };
  const start = (): void => {
    // After a blocked event loop timers come first and the answer still lies in its socket: one turn is given to read it.
    cancelTimer = clock.setTimer(() => setImmediate(end), timeoutMs);
  };
  start();
  return {
    renew: () => {
      cancelTimer();
      if (!isOver) start();
    },
    cancel: () => {
      isOver = true;
      cancelTimer();
    },
  };
}
