import type { KeyLimits } from "../config/schema.ts";
import type { Refusal } from "./key-counts.ts";
import { MINUTE_MS, SECOND_MS } from "./minute-count.ts";
import type { SharedCounter } from "./rate-limiter.ts";
import { withinMs } from "./within-ms.ts";

/** What a counter needs of a connection to Redis. */
export interface CounterClient {
  readonly status: string;
  eval(script: string, keys: number, ...values: Array<string | number>): Promise<unknown>;
}

/** Milliseconds that a request waits for a shared counter. */
const TIMEOUT_MS = 25;
/**
 * `MinuteCount` in Redis, over several counts at once: adds an amount to each, unless one of them would come above its limit (negative: none), and tells for each how
 * long it would have to wait. By the time of Redis, so that all processes speak of the same minute, and in one step.
 *
 * A count is a hash: `total`, `oldest` (the first second that may still count), and for each second its amount and the milliseconds of its last addition in one number.
 * Each call forgets the seconds that have passed since the last one, so that none has to look at all of them.
 */
const ADD = `
local time = redis.call('TIME')
local second = tonumber(time[1])
local now = second * ${SECOND_MS} + math.floor(time[2] / 1000)
local function read(key, number)
  local told = tonumber(redis.call('HGET', key, number))
  if not told then return 0, -1 end
  return math.floor(told / ${SECOND_MS}), number * ${SECOND_MS} + told % ${SECOND_MS}
end
local function forget(key)
  local known = redis.call('HMGET', key, 'total', 'oldest')
  local total, oldest = tonumber(known[1]) or 0, tonumber(known[2]) or second
  if oldest > second then redis.call('DEL', key) return 0, second end
  local from = oldest
  while oldest < second do
    local amount, at = read(key, oldest)
    if at + ${MINUTE_MS} > now then break end
    if at >= 0 then redis.call('HDEL', key, oldest) end
    total, oldest = total - amount, oldest + 1
  end
  if oldest > from then redis.call('HSET', key, 'total', string.format('%.0f', total), 'oldest', oldest) end
  return total, oldest
end
local waits, refuses, totals, firsts = {}, false, {}, {}
for i, key in ipairs(KEYS) do
  local total, oldest = forget(key)
  totals[i], firsts[i], waits[i] = total, oldest, 0
  local limit = tonumber(ARGV[i * 2])
  local over = total + math.max(1, tonumber(ARGV[i * 2 - 1])) - limit
  if limit >= 0 and over > 0 then
    refuses, waits[i] = true, ${MINUTE_MS}
    for number = oldest, second do
      local amount, at = read(key, number)
      over = over - amount
      if over <= 0 then waits[i] = math.min(${MINUTE_MS}, at + ${MINUTE_MS} - now) break end
    end
  end
end
if refuses then return waits end
for i, key in ipairs(KEYS) do
  local amount = tonumber(ARGV[i * 2 - 1])
  if amount > 0 then
    local told = (read(key, second) + amount) * ${SECOND_MS} + now % ${SECOND_MS}
    redis.call('HSET', key, second, string.format('%.0f', told), 'total', string.format('%.0f', totals[i] + amount), 'oldest', firsts[i])
    redis.call('PEXPIRE', key, ${MINUTE_MS + SECOND_MS})
  end
end
return waits`;

/** What a count is of, and which limit it is held to. */
const COUNTED = [
  ["tokens", "tokensPerMinute"],
  ["requests", "requestsPerMinute"],
] as const;

/** Counts in Redis, under a prefix of its own. @param timeoutMs milliseconds > 0 after which a count is gone without */
export function createSharedCounter(client: CounterClient, keyPrefix: string, timeoutMs: number = TIMEOUT_MS): SharedCounter {
  // On a cluster what is counted of one key lies together.
  const nameOf = (keyId: string, what: string): string => `${keyPrefix}:limits:{${keyId}}:${what}`;
  const enter = async (keyId: string, limits: KeyLimits): Promise<Refusal | null | undefined> => {
    if (client.status !== "ready") return undefined;
    const counted = COUNTED.filter(([, limit]) => limits[limit] !== undefined);
    const names = counted.map(([what]) => nameOf(keyId, what));
    // Tokens are charged later: it is only asked whether there is room for any.
    const amounts = counted.flatMap(([what, limit]) => [what === "requests" ? 1 : 0, limits[limit] as number]);
    const waits = await withinMs(client.eval(ADD, names.length, ...names, ...amounts) as Promise<number[]>, timeoutMs);
    if (!waits) return undefined;
    const at = waits.findIndex((waitMs) => waitMs > 0);
    const refused = counted[at];
    return refused ? { limit: refused[1], waitMs: waits[at] as number } : null;
  };
  return {
    counts: ["requestsPerMinute", "tokensPerMinute"],
    enter: (keyId, limits) => ({ refusal: enter(keyId, limits), leave: () => undefined }),
    charge: (keyId, tokens) => {
      if (client.status === "ready") client.eval(ADD, 1, nameOf(keyId, "tokens"), tokens, -1).catch(() => undefined);
    },
  };
}
