import type { Clock } from "./clock.ts";
import { CacheError } from "./errors.ts";
import type { Flight } from "./flight.ts";
import type { LoadPolicy } from "./load-policy.ts";

/** Who waits, and what it may take instead. */
export interface FlightWait<V> {
  readonly clock: Clock;
  readonly policy: LoadPolicy;
  /** Called when the caller takes the stale value instead of the load's. */
  readonly onStale: () => void;
  readonly flight: Flight<V>;
}

/** A stale entry that this caller may take now. The flight forgets it when its key is invalidated. */
function usableStale<V>({ flight, clock }: FlightWait<V>, windowMs: number): { readonly value: V } | undefined {
  const { stale } = flight;
  return stale && clock.now() < Math.min(stale.staleAt + windowMs, stale.expiresAt) ? stale : undefined;
}

/**
 * Waits for a load as one of perhaps many. The caller's own signal frees it alone; its soft timeout gives it the stale value, while it
 * stays counted as a waiter, so that the load goes on; a load that fails gives it the stale value if it asked for that.
 */
export function awaitFlight<V>(wait: FlightWait<V>): Promise<V | undefined> {
  const { flight, policy } = wait;
  flight.join(policy.tags);
  if (!policy.signal && policy.softTimeoutMs === Infinity && policy.staleIfErrorMs === 0) return leaveAtEnd(flight);
  return waitWithPolicy(wait);
}

function leaveAtEnd<V>(flight: Flight<V>): Promise<V | undefined> {
  // The flight is settled by then: leaving later could only cancel what is over.
  return flight.result;
}

function waitWithPolicy<V>(wait: FlightWait<V>): Promise<V | undefined> {
  const { flight, policy, clock, onStale } = wait;
  return new Promise((resolve, reject) => {
    const { signal } = policy;
    const onAbort = (): void => {
      finish();
      flight.leave();
      reject(new CacheError("ERR_CACHE_ABORTED", "the caller's signal was aborted", { cause: signal?.reason }));
    };
    const takeStale = (windowMs: number): boolean => {
      const stale = usableStale(wait, windowMs);
      if (!stale) return false;
      finish();
      onStale();
      resolve(stale.value);
      return true;
    };
    const softWindowMs = Math.max(policy.staleWhileRevalidateMs, policy.staleIfErrorMs);
    const cancelSoft = policy.softTimeoutMs === Infinity ? undefined : clock.setTimer(() => takeStale(softWindowMs), policy.softTimeoutMs);
    const finish = (): void => {
      cancelSoft?.();
      signal?.removeEventListener("abort", onAbort);
    };
    if (signal?.aborted) {
      onAbort();
      return;
    }
    signal?.addEventListener("abort", onAbort);
    flight.result.then(
      (value) => {
        finish();
        resolve(value);
      },
      (error: unknown) => {
        if (takeStale(policy.staleIfErrorMs)) return;
        finish();
        reject(error);
      },
    );
  });
}
