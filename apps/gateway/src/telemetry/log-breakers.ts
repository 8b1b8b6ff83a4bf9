import type { Log } from "./log.ts";
import { onceAMinute } from "./once-a-minute.ts";

/**
 * Tells of providers that are taken for down: each tenant has a breaker of its own, and each is tried again every ten seconds.
 * @param now monotonic milliseconds @returns to be told each time that a breaker of one opens
 */
export function logBreakers(log: Log, now?: () => number): (providerId: string) => void {
  const isDue = onceAMinute(now);
  return (providerId) => {
    if (isDue(providerId) === undefined) return;
    log.warn({ providerId }, "a provider has failed repeatedly and is not called for a while; told at most once a minute");
  };
}
