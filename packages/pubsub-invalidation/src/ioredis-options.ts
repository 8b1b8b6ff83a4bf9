import type { RandomSource } from "@larder/cache-core";

/** Milliseconds after which a connection that is not made, or whose first commands are not answered, is given up. */
const CONNECT_TIMEOUT_MS = 1_000;
/** What lasts longer, a timer of Node ends at once. */
const LONGEST_TIMER_MS = 2_147_483_647;
/** Shortest and longest pause before the next attempt to connect, in milliseconds. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

/** The pause before attempt `times`: doubling, bounded, and spread, so that a fleet does not come back at one instant. Never gives up. */
export function reconnectPauseMs(times: number, random: RandomSource): number {
  const longest = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(times - 1, 10), LONGEST_PAUSE_MS);
  return longest * (0.5 + 0.5 * random.next());
}

/** What both connections have in common. `duplicate()` takes everything else (address, credentials, TLS, Sentinel) from the user's client. */
function common(random: RandomSource): Record<string, unknown> {
  const retryStrategy = (times: number): number => reconnectPauseMs(times, random);
  return {
    connectTimeout: CONNECT_TIMEOUT_MS,
    disconnectTimeout: CONNECT_TIMEOUT_MS,
    // One sentinel that hangs must not keep the others from being asked.
    sentinelCommandTimeout: CONNECT_TIMEOUT_MS,
    keepAlive: 10_000,
    lazyConnect: false,
    // A sentinel's client may be one of replicas, which publish to their own subscribers and take no invalidation.
    role: "master",
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    enableAutoPipelining: false,
    showFriendlyErrorStack: false,
    // A cluster's slots as text are compared as text: for most of them no subscriber would be made.
    stringNumbers: false,
    retryStrategy,
    // The caller's may give up for good.
    sentinelRetryStrategy: retryStrategy,
  };
}

/**
 * The connection for scripts. No queue while offline and no repetition: a call fails at once and its caller decides. `socketTimeout`
 * notices a connection that answers nothing, which `commandTimeout` alone does not: it rejects and leaves the dead socket in place.
 */
export function dataOptions(timeoutMs: number, random: RandomSource): Record<string, unknown> {
  const callTimeoutMs = Math.min(timeoutMs, LONGEST_TIMER_MS);
  return {
    ...common(random),
    commandTimeout: callTimeoutMs,
    socketTimeout: callTimeoutMs,
    maxRetriesPerRequest: 0,
    // A master that has become a replica: connect anew, which Sentinel answers with the new master.
    reconnectOnError: (error: Error) => error.message.includes("READONLY"),
  };
}

/**
 * The subscriber's connection. `autoResubscribe` is off because ioredis tells `ready` before its own SUBSCRIBE is acknowledged and
 * never catches that promise: cut between the two, it ends the process. `maxRetriesPerRequest: null` for the same reason. `socketTimeout`
 * counts only while a reply is awaited: it ends a connection whose greeting nobody answers, which `connectTimeout` takes for made.
 */
export function subscriberOptions(random: RandomSource): Record<string, unknown> {
  return {
    ...common(random),
    autoResubscribe: false,
    maxRetriesPerRequest: null,
    commandTimeout: undefined,
    socketTimeout: CONNECT_TIMEOUT_MS,
  };
}
