import { ablated } from "./ablation.ts";
import type { CancelTimer, Clock } from "./clock.ts";
import type { InvalidationTarget } from "./invalidation.ts";

/** First and longest pause between retries, in milliseconds. */
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5_000;
/** Invalidations sent at one time while the backlog is worked off. */
const BATCH = 64;

/** How the queue sends what waits in it. */
export interface PendingOptions {
  readonly clock: Clock;
  /** Keys, tags and patterns told apart at most. Beyond, one invalidation of all takes their place. */
  readonly limit: number;
  /** Sends one; rejects when it did not happen or nobody knows. */
  readonly send: (target: InvalidationTarget) => Promise<unknown>;
}

const nameOf = (target: InvalidationTarget): string =>
  target.kind === "key"
    ? `k${target.key}`
    : target.kind === "tag"
      ? `t${target.tag}`
      : target.kind === "pattern"
        ? `p${target.pattern}`
        : "a";

/**
 * Invalidations on their way to the backend, and those that failed and are sent again.
 *
 * While a key's invalidation has not been acknowledged, the second tier may still hold the old value, so this process does not read it
 * there: that is the difference between "0.005 % of schedules wrong" and none (measured, reliability facts: the rarest of the bugs). A
 * key is held once however often it is invalidated; past the limit everything is bypassed and one invalidation of all is sent.
 */
export class PendingInvalidations {
  readonly #options: PendingOptions;
  /** How many calls are under way per target. */
  readonly #inFlight: Map<string, number> = new Map();
  /** What failed and waits for its next try. */
  readonly #waiting: Map<string, InvalidationTarget> = new Map();
  /** In-flight and waiting ones that cover more than one key. */
  #broad = 0;
  #retryMs = FIRST_RETRY_MS;
  #cancelRetry: CancelTimer | undefined;
  #isFlushing = false;

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
    if (this.#broad > 0) return true;
    if (this.#inFlight.size === 0 && this.#waiting.size === 0) return false;
    const name = `k${key}`;
    return this.#inFlight.has(name) || this.#waiting.has(name);
  }

  /** Runs one invalidation, covering its target until it is acknowledged. @returns whether it was */
  async run(target: InvalidationTarget, send: () => Promise<unknown>): Promise<boolean> {
    const name = nameOf(target);
    const older = this.#waiting.get(name);
    this.#inFlight.set(name, (this.#inFlight.get(name) ?? 0) + 1);
    if (target.kind !== "key") this.#broad += 1;
    try {
      await send();
      // What failed before this call is covered by it; what failed while it ran is not.
      if (older && this.#waiting.get(name) === older) this.#drop(name);
      return true;
    } catch {
      this.#keep(name, target);
      return false;
    } finally {
      if (target.kind !== "key") this.#broad -= 1;
      const others = (this.#inFlight.get(name) ?? 1) - 1;
      if (others > 0) this.#inFlight.set(name, others);
      else this.#inFlight.delete(name);
    }
  }

  /** Sends what waits: when the backend answers again, and before the cache closes. */
  async flush(): Promise<void> {
    if (this.#isFlushing || this.#waiting.size === 0) return;
    this.#isFlushing = true;
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    try {
      let isHealthy = true;
      while (isHealthy && this.#waiting.size > 0) isHealthy = await this.#sendBatch();
      this.#retryMs = isHealthy ? FIRST_RETRY_MS : Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
    } finally {
      this.#isFlushing = false;
    }
    if (this.#waiting.size > 0) this.#scheduleRetry();
  }

  /** Stops retrying. */
  close(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
  }

  async #sendBatch(): Promise<boolean> {
    const batch = [...this.#waiting].slice(0, BATCH);
    const sent = await Promise.all(batch.map(([name, target]) => this.#sendAgain(name, target)));
    return sent.every(Boolean);
  }

  async #sendAgain(name: string, target: InvalidationTarget): Promise<boolean> {
    try {
      await this.#options.send(target);
    } catch {
      return false;
    }
    if (this.#waiting.get(name) === target) this.#drop(name);
    return true;
  }

  #keep(name: string, target: InvalidationTarget): void {
    if (ablated.has("retry")) return;
    if (!this.#waiting.has(name) && this.#waiting.size >= this.#options.limit) {
      this.#waiting.clear();
      // Those in flight keep their own count in #broad; what waited is replaced by the one that covers it all.
      this.#broad = [...this.#inFlight].reduce((sum, [inFlight, count]) => sum + (inFlight.startsWith("k") ? 0 : count), 0);
      this.#keep("a", { kind: "all" });
      return;
    }
    if (!this.#waiting.has(name) && target.kind !== "key") this.#broad += 1;
    // A new object each time: a retry that is under way for the older one must not count as this one's.
    this.#waiting.set(name, { ...target });
    this.#scheduleRetry();
  }

  #drop(name: string): void {
    const target = this.#waiting.get(name);
    if (target && target.kind !== "key") this.#broad -= 1;
    this.#waiting.delete(name);
  }

  #scheduleRetry(): void {
    if (this.#cancelRetry || this.#isFlushing) return;
    this.#cancelRetry = this.#options.clock.setTimer(() => {
      this.#cancelRetry = undefined;
      void this.flush();
    }, this.#retryMs);
  }
}
