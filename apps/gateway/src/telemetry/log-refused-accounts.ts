import type { Log } from "./log.ts";
import { onceAMinute } from "./once-a-minute.ts";

/**
 * Tells of providers that refuse the operator's own account: no breaker counts that, and where a fallback answers, no caller hears of it.
 * @param now monotonic milliseconds @returns to be told of each refusal
 */
export function logRefusedAccounts(log: Log, now?: () => number): (providerId: string, status: number) => void {
  const isDue = onceAMinute(now);
  return (providerId, status) => {
    const others = isDue(providerId);
    if (others === undefined) return;
    log.warn(
      { providerId, status, others },
      "a provider refuses the gateway's own account (401: its key, 402: its balance, 403: its rights, or what was asked); told at most once a minute, with how many others there were since",
    );
  };
}
