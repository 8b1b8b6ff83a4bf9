import type { Log } from "./log.ts";

/** Milliseconds between two lines about one provider: each tenant has a breaker of its own, and each is tried again every ten seconds. */
const QUIET_MS = 60_000;

/** Tells of providers that are taken for down. @param now monotonic milliseconds @returns to be told each time that a breaker of one opens */
export function logBreakers(log: Log, now: () => number = () => performance.now()): (providerId: string) => void {
  const toldAt = new Map<string, number>();
  return (providerId) => {
    const at = now();
    if (at - (toldAt.get(providerId) ?? -Infinity) < QUIET_MS) return;
    toldAt.set(providerId, at);
    log.warn({ providerId }, "a provider has failed repeatedly and is not called for a while; told at most once a minute");
  };
}
