import {
  CacheError,
  type Clock,
  checkDurationMs,
  checkOptions,
  KeySpace,
  type OptionNames,
  type RandomSource,
  systemClock,
  systemRandom,
} from "@larder/cache-core";
import { type RedisClient, toExpiryMs, withDeadline } from "./redis-client.ts";
import type { RunnerLock } from "./runner-lock.ts";

/** How one runner is elected through Redis. */
export interface RedisLockOptions {
  /** An `ioredis` client, `Redis` or `Cluster`. It stays yours to close. */
  readonly client: RedisClient;
  /** What comes before every key. @default "larder" */
  readonly keyPrefix?: string;
  /** Milliseconds > 0 after which the lease of a holder that died ends; renewed at a third of it. @default 30000 */
  readonly ttlMs?: number;
  /** Milliseconds > 0 to wait for each answer. @default 2000 */
  readonly timeoutMs?: number;
  /** @default the machine's */
  readonly clock?: Clock;
  /** @default the machine's */
  readonly random?: RandomSource;
}

const OPTIONS: OptionNames<RedisLockOptions> = { client: true, keyPrefix: true, ttlMs: true, timeoutMs: true, clock: true, random: true };

const ACQUIRE = "return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0";
const RENEW = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0";
const RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

class RedisLock implements RunnerLock {
  readonly #options: RedisLockOptions;
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #keys: KeySpace;
  readonly #ttlMs: number;
  readonly #timeoutMs: number;

  constructor(options: RedisLockOptions) {
    checkOptions(options, OPTIONS);
    const { keyPrefix = "larder", clock = systemClock, random = systemRandom } = options;
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
    this.#keys = new KeySpace({ namespace: "catalog", keyPrefix });
    this.#ttlMs = toExpiryMs(checkDurationMs("ttlMs", options.ttlMs ?? 30_000));
    this.#timeoutMs = checkDurationMs("timeoutMs", options.timeoutMs ?? 2000);
  }

  /** @throws {CacheError} ERR_CACHE_BACKEND or ERR_CACHE_TIMEOUT when Redis is away: who would run then is not known */
  async withLock<T>(name: string, work: (signal: AbortSignal) => Promise<T>): Promise<T | "held"> {
    const key = `${this.#keys.base(0)}lock:${name}`;
    const token = this.#random.token();
    if ((await this.#eval(ACQUIRE, key, token, this.#ttlMs)) !== 1) return "held";
    const lost = new AbortController();
    let cancelTimer = (): void => {};
    let isOver = false;
    let provenAt = this.#clock.now();
    const lose = (): void => lost.abort(new CacheError("ERR_CACHE_ABORTED", "the sync lock was lost"));
    const schedule = (): void => {
      if (!isOver) cancelTimer = this.#clock.setTimer(renew, this.#ttlMs / 3);
    };
    const renew = (): void => {
      const askedAt = this.#clock.now();
      this.#eval(RENEW, key, token, this.#ttlMs).then(
        (held) => {
          if (held !== 1) return lose();
          provenAt = askedAt;
          schedule();
        },
        // Redis may be back before the lease ends; past its end another one may hold it.
        () => (this.#clock.now() - provenAt >= this.#ttlMs ? lose() : schedule()),
      );
    };
    schedule();
    try {
      return await work(lost.signal);
    } finally {
      isOver = true;
      cancelTimer();
      await this.#eval(RELEASE, key, token).catch(() => {});
    }
  }

  #eval(script: string, key: string, ...parameters: Array<string | number>): Promise<unknown> {
    return withDeadline(this.#options.client.eval(script, 1, key, ...parameters), this.#timeoutMs, this.#clock);
  }
}

/** Elects one runner by a lease in Redis: for fleets whose store is a file per machine. @throws {CacheError} ERR_CACHE_INVALID_OPTION */
export function createRedisLock(options: RedisLockOptions): RunnerLock {
  return new RedisLock(options);
}
