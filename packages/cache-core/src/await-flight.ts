import { listenForAbort } from "./cancellation.ts";
import type { CancelTimer, Clock } from "./clock.ts";
import { CacheError } from "./errors.ts";
import type { Flight } from "./flight.ts";
import type { LoadPolicy } from "./load-policy.ts";
import type { StoredEntry } from "./stored-entry.ts";

/** Who waits, and what it may take instead. */
export interface FlightWait<V> {
  readonly clock: Clock;
  readonly policy: LoadPolicy;
  /** Called when the caller takes the stale value instead of the load's. */
  readonly onStale: () => void;
  readonly flight: Flight<V>;
}

/** Whether a stale entry is within a window after its time to live, and still held. No window, no entry: a forced load may replace a live one. */
export function isWithinWindow(stale: StoredEntry<unknown>, windowMs: number, now: number): boolean {
  return windowMs > 0 && now < Math.min(stale.staleAt + windowMs, stale.expiresAt);
}

/**
 * Waits for a load as one of perhaps many, each with its own patience, counted from its own call. The caller's own signal frees it alone; its soft
 * timeout gives it the stale value, while it stays counted as a waiter, so that the load goes on; a load that fails, or its hard timeout,
 * gives it the stale value if it asked for that, else the error.
 */
export function awaitFlight<V>(wait: FlightWait<V>): Promise<V | undefined> {
  const { flight, policy } = wait;
  flight.join(policy.tags, policy.staleWhileRevalidateMs);
  const isPlain = policy.softTimeoutMs === Infinity && policy.timeoutMs === Infinity && policy.staleIfErrorMs === 0;
  // Nobody counts out: the flight is settled by then, and leaving later could only cancel what is over.
  return isPlain && !policy.signal ? flight.result : waitWithPolicy(wait);
}

/** Counts in a waiter that nobody is behind: the load goes on until its timeout, whoever comes and goes. */
export function holdFlight<V>({ flight, policy, clock }: Omit<FlightWait<V>, "onStale">): void {
  flight.join(policy.tags, 0);
  if (policy.timeoutMs === Infinity) return;
  const cancelTimeout = clock.setTimer(() => flight.leave(timedOut(policy)), policy.timeoutMs);
  flight.result.then(cancelTimeout, cancelTimeout);
}

function timedOut({ timeoutMs }: LoadPolicy): CacheError {
  return new CacheError("ERR_CACHE_TIMEOUT", `the load took longer than timeoutMs (${timeoutMs} ms)`);
}

function waitWithPolicy<V>(wait: FlightWait<V>): Promise<V | undefined> {
  const { flight, policy, clock, onStale } = wait;
  const { signal, timeoutMs, softTimeoutMs } = policy;
  const timer = (afterMs: number, callback: () => void): CancelTimer | undefined =>
    afterMs === Infinity ? undefined : clock.setTimer(callback, afterMs);
  return new Promise((resolve, reject) => {
    let isAnswered = false;
    const answer = (): void => {
      isAnswered = true;
      cancelSoft?.();
      signal?.removeEventListener("abort", onAbort);
    };
    const takeStale = (windowMs: number): boolean => {
      const { stale } = flight;
      if (isAnswered || !stale || !isWithinWindow(stale, windowMs, clock.now())) return false;
      answer();
      onStale();
      resolve(stale.value);
      return true;
    };
    const fail = (error: unknown): void => {
      answer();
      reject(error);
    };
    const leave = (error: CacheError): void => {
      cancelHard?.();
      flight.leave(error);
    };
    const onAbort = (): void => {
      fail(new CacheError("ERR_CACHE_ABORTED", "the caller's signal was aborted", { cause: signal?.reason }));
      leave(new CacheError("ERR_CACHE_ABORTED", "the load was cancelled: everyone who waited for it has left"));
    };
    const onTimeout = (): void => {
      const error = timedOut(policy);
      if (!takeStale(policy.staleIfErrorMs)) fail(error);
      leave(error);
    };
    const softWindowMs = Math.max(policy.staleWhileRevalidateMs, policy.staleIfErrorMs);
    let cancelSoft: CancelTimer | undefined;
    // Again until it is known that a load is needed: the second tier may give the stale value later than the caller's patience ends.
    const setSoft = (): void => {
      cancelSoft = timer(softTimeoutMs, () => takeStale(softWindowMs) || flight.isLoading || setSoft());
    };
    setSoft();
    const cancelHard = timer(timeoutMs, onTimeout);
    if (signal?.aborted) return onAbort();
    if (signal) listenForAbort(signal, onAbort);
    flight.result.then(
      (value) => {
        cancelHard?.();
        answer();
        resolve(value);
      },
      (error: unknown) => {
        cancelHard?.();
        if (!takeStale(policy.staleIfErrorMs)) fail(error);
      },
    );
  });
}
