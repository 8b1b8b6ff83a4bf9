import type { SharedCounter } from "./rate-limiter.ts";

/** What a counter needs of a connection to Redis. */
export interface CounterClient {
  readonly status: string;
  eval(script: string, keys: number, ...values: Array<string | number>): Promise<unknown>;
}

/** Milliseconds that a request waits for a shared counter. */
const TIMEOUT_MS = 25;
/**
 * Adds to a counter of the last window's length, unless that would bring it above a limit (negative: none). By the time of Redis, so that all
 * processes speak of the same window, and in one step, so that a crash in between cannot leave a counter that never ends.
 */
const ADD = `
local window = tonumber(ARGV[2])
local time = redis.call('TIME')
local at = time[1] * 1000 + math.floor(time[2] / 1000)
local turn = math.floor(at / window)
local known = redis.call('HMGET', KEYS[1], 'turn', 'now', 'former')
local passed = turn - (tonumber(known[1]) or turn)
local now, former = tonumber(known[2]) or 0, tonumber(known[3]) or 0
if passed == 1 then now, former = 0, now elseif passed ~= 0 then now, former = 0, 0 end
local amount, limit = tonumber(ARGV[1]), tonumber(ARGV[3])
local total = now + amount + math.ceil(former * (1 - (at % window) / window) - 0.5)
if amount == 0 or (limit >= 0 and total > limit) then return total end
redis.call('HSET', KEYS[1], 'turn', turn, 'now', now + amount, 'former', former)
redis.call('PEXPIRE', KEYS[1], window * 2)
return total`;

/** Counts in Redis, under a prefix of its own. @param timeoutMs milliseconds > 0 after which a count is gone without */
export function createSharedCounter(client: CounterClient, keyPrefix: string, timeoutMs: number = TIMEOUT_MS): SharedCounter {
  return {
    add: async (name, amount, windowMs, limit = -1) => {
      if (client.status !== "ready") return undefined;
      const counted = client.eval(ADD, 1, `${keyPrefix}:limits:${name}`, amount, windowMs, limit) as Promise<number>;
      return withTimeout(counted, timeoutMs);
    },
  };
}

function withTimeout(answer: Promise<number>, timeoutMs: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), timeoutMs);
    answer.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      () => {
        clearTimeout(timer);
        resolve(undefined);
      },
    );
  });
}
