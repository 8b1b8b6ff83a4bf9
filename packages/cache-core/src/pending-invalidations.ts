import { ablated } from "./ablation.ts";
import type { CancelTimer, Clock } from "./clock.ts";
import { CacheError } from "./errors.ts";
import type { InvalidationTarget } from "./invalidation.ts";

/** First and longest pause between retries, in milliseconds. */
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5_000;
/**
 * Calls of `run` that are sent at one time; further ones wait for their turn. Ten thousand keys invalidated in one loop would time out behind
 * each other, open the breaker of a backend in good health, and end as one invalidation of all.
 */
const AT_ONCE = 256;
/** Invalidations sent at one time while the backlog is worked off. */
const BATCH = 64;
/** The pause after a batch of which some failed, in milliseconds: a breaker answers at once, and a long queue must not hold the process up. */
const BREATH_MS = 1;
/** Broad ones that are asked for a key one by one; while more of them wait, every key is covered. */
const ASKED_AT_MOST = 64;

/** How the queue sends what waits in it. */
export interface PendingOptions {
  readonly clock: Clock;
  /** Keys, tags and patterns told apart at most. Beyond, one invalidation of all takes their place. */
  readonly limit: number;
  /** Sends one again, by the object that `run` was given; rejects when it did not happen or nobody knows. */
  readonly send: (target: InvalidationTarget) => Promise<unknown>;
  /** Of a tag, a pattern or all that waits: whether where this key lives it has been acknowledged. @default nobody knows */
  readonly isReached?: (target: InvalidationTarget, key: string) => boolean;
  /** Told of each that was not taken, before it waits for its next try. @default nobody */
  readonly onFailed?: (target: InvalidationTarget) => void;
}

const nameOf = (target: InvalidationTarget): string =>
  target.kind === "key"
    ? `k${target.key}`
    : target.kind === "tag"
      ? `t${target.tag}`
      : target.kind === "pattern"
        ? `p${target.pattern}`
        : "a";

/** Whether the caller asked for what cannot be done: nothing was sent, so there is nothing to send again. */
function isRefusal(error: unknown): boolean {
  return CacheError.is(error) && (error.code === "ERR_CACHE_CODEC" || error.code === "ERR_CACHE_INVALID_OPTION");
}

/**
 * Invalidations on their way to the backend, and those that failed and are sent again.
 *
 * While a key's invalidation has not been acknowledged, the second tier may still hold the old value, so this process does not read it
 * there: that is the difference between "0.005 % of schedules wrong" and none (measured, reliability facts: the rarest of the bugs). A
 * key is held once however often it is invalidated; past the limit everything is bypassed and one invalidation of all is sent.
 *
 * One that fails says nothing about the others: on a cluster a shard may be dead for long and the rest in good health. So a retry goes
 * through all that wait, and what failed goes to the back of the queue. Only who calls `flush` because the backend seems to answer, or
 * because the cache closes, is content with the first batch of which nothing gets through.
 *
 * A tag, a pattern or all is told to every shard, and some may have acknowledged it. Each call of `run` names one invalidation by its
 * target object, and retries pass the very same object: the backend can tell by it whom it need not tell again (a shard that is told
 * at every retry drops what has been stored in it since), and which keys may be read although it waits.
 */
export class PendingInvalidations {
  readonly #options: PendingOptions;
  /** How many calls are under way per target. */
  readonly #inFlight: Map<string, number> = new Map();
  /** What failed and waits for its next try, the next one first. */
  readonly #waiting: Map<string, InvalidationTarget> = new Map();
  /** Those in flight that cover more than one key. */
  #broadInFlight = 0;
  /** Those of `#waiting` that cover more than one key. */
  readonly #broadWaiting: Set<InvalidationTarget> = new Set();
  /** How many are being sent, and who waits for a turn. */
  #sending = 0;
  readonly #turns: Set<() => void> = new Set();
  /** The calls of `run` that are under way, each until it is known whether it must be sent again. */
  readonly #underWay: Set<Promise<void>> = new Set();
  /** The round of sending again that is under way, or the last one. */
  #round: Promise<void> = Promise.resolve();
  #retryMs = FIRST_RETRY_MS;
  #cancelRetry: CancelTimer | undefined;
  #isFlushing = false;
  /** A round that goes on though nothing gets through would hold the closing up. */
  #isDraining = false;
  #endBreath: () => void = () => {};
  #isClosed = false;

  constructor(options: PendingOptions) {
    this.#options = options;
  }

  /** Invalidations that failed and have not got through yet. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Whether the second tier may still hold something older than an invalidation of this process. */
  covers(key: string): boolean {
    if (ablated.has("pending-bypass")) return false;
    if (this.#broadInFlight > 0 || this.#isCoveredBroadly(key)) return true;
    if (this.#inFlight.size === 0 && this.#waiting.size === 0) return false;
    const name = `k${key}`;
    return this.#inFlight.has(name) || this.#waiting.has(name);
  }

  /**
   * Runs one invalidation, covering its target until it is acknowledged. `target`: an object of this call alone.
   * @returns whether it was acknowledged
   * @throws {CacheError} ERR_CACHE_CODEC or ERR_CACHE_INVALID_OPTION, as `send` does: then nothing was sent and nothing waits
   */
  run(target: InvalidationTarget, send: () => Promise<unknown>): Promise<boolean> {
    const running = this.#send(target, send);
    const finish = (): void => void this.#underWay.delete(settled);
    const settled = running.then(finish, finish);
    this.#underWay.add(settled);
    return running;
  }

  /** Sends what waits, as long as any of it gets through: when the backend answers again. */
  flush(): Promise<void> {
    return this.#goThrough(false);
  }

  /** Before the cache closes: waits for what is on its way, whose senders' deadlines bound it, and sends once more what failed. */
  async drain(): Promise<void> {
    await Promise.all(this.#underWay);
    this.#isDraining = true;
    this.#endBreath();
    await this.#round;
    await this.flush();
  }

  /** Stops retrying. What fails from now on waits for nothing. */
  close(): void {
    this.#isClosed = true;
    this.#stopWaiting();
  }

  async #send(target: InvalidationTarget, send: () => Promise<unknown>): Promise<boolean> {
    const name = nameOf(target);
    const older = this.#waiting.get(name);
    this.#inFlight.set(name, (this.#inFlight.get(name) ?? 0) + 1);
    if (target.kind !== "key") this.#broadInFlight += 1;
    try {
      if (this.#sending < AT_ONCE) this.#sending += 1;
      else await new Promise<void>((resolve) => this.#turns.add(resolve));
      await send();
      // What failed before this call is covered by it; what failed while it ran is not.
      if (older && this.#waiting.get(name) === older) this.#drop(name);
      return true;
    } catch (error) {
      if (isRefusal(error)) throw error;
      this.#options.onFailed?.(target);
      // Of two that ran side by side neither covers what the other one has reached: a new object is told to everyone.
      this.#keep(name, this.#waiting.get(name) === older ? target : { ...target });
      return false;
    } finally {
      this.#passTurn();
      if (target.kind !== "key") this.#broadInFlight -= 1;
      const others = (this.#inFlight.get(name) ?? 1) - 1;
      if (others > 0) this.#inFlight.set(name, others);
      else this.#inFlight.delete(name);
    }
  }

  #passTurn(): void {
    const next = this.#turns.values().next();
    if (next.done) {
      this.#sending -= 1;
      return;
    }
    this.#turns.delete(next.value);
    next.value();
  }

  #isCoveredBroadly(key: string): boolean {
    if (this.#broadWaiting.size === 0) return false;
    const { isReached } = this.#options;
    if (!isReached || this.#broadWaiting.size > ASKED_AT_MOST) return true;
    for (const target of this.#broadWaiting) if (!isReached(target, key)) return true;
    return false;
  }

  /** Sends each that waits now, once. @param isThorough goes on though nothing of a batch gets through */
  async #goThrough(isThorough: boolean): Promise<void> {
    if (this.#isFlushing || this.#isClosed || this.#waiting.size === 0) return;
    this.#round = this.#sendWaiting(isThorough);
    await this.#round;
  }

  async #sendWaiting(isThorough: boolean): Promise<void> {
    this.#isFlushing = true;
    const waiting = [...this.#waiting];
    let failed = 0;
    try {
      for (let from = 0; from < waiting.length && !this.#isClosed; from += BATCH) {
        const batch = waiting.slice(from, from + BATCH);
        const sent = await Promise.all(batch.map(([name, target]) => this.#sendAgain(name, target)));
        const reached = sent.filter(Boolean).length;
        failed += sent.length - reached;
        const isPatient = isThorough && !this.#isDraining;
        if (reached === 0 && !isPatient) break;
        if (reached < sent.length && isPatient) await this.#breathe();
      }
    } finally {
      this.#isFlushing = false;
    }
    if (failed === 0) this.#stopWaiting();
    if (failed === 0) this.#retryMs = FIRST_RETRY_MS;
    else if (isThorough) this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
    if (this.#waiting.size > 0) this.#scheduleRetry();
  }

  /** @returns whether it need not be sent any more */
  async #sendAgain(name: string, target: InvalidationTarget): Promise<boolean> {
    if (this.#waiting.get(name) !== target) return true;
    try {
      await this.#options.send(target);
    } catch {
      this.#options.onFailed?.(target);
      if (this.#waiting.get(name) === target) {
        this.#waiting.delete(name);
        this.#waiting.set(name, target);
      }
      return false;
    }
    if (this.#waiting.get(name) === target) this.#drop(name);
    return true;
  }

  #breathe(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.setTimer(resolve, BREATH_MS);
      this.#endBreath = () => {
        cancel();
        resolve();
      };
    });
  }

  #keep(name: string, target: InvalidationTarget): void {
    if (ablated.has("retry")) return;
    if (!this.#waiting.has(name) && this.#waiting.size >= this.#options.limit) {
      this.#waiting.clear();
      this.#broadWaiting.clear();
      this.#keep("a", { kind: "all" });
      return;
    }
    this.#drop(name);
    this.#waiting.set(name, target);
    if (target.kind !== "key") this.#broadWaiting.add(target);
    this.#scheduleRetry();
  }

  #drop(name: string): void {
    const target = this.#waiting.get(name);
    if (target === undefined) return;
    this.#broadWaiting.delete(target);
    this.#waiting.delete(name);
  }

  #stopWaiting(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
  }

  #scheduleRetry(): void {
    if (this.#cancelRetry || this.#isFlushing || this.#isClosed) return;
    this.#cancelRetry = this.#options.clock.setTimer(() => {
      this.#cancelRetry = undefined;
      void this.#goThrough(true);
    }, this.#retryMs);
  }
}
