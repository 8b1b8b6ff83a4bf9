import type { Clock } from "./clock.ts";

/**
 * The time that one caller may spend waiting for a backend, over all of its calls together: one `getOrSet`, or one HTTP request
 * that asks several caches. Only waiting is charged; the loader's own time is not.
 */
export class Budget {
  readonly #clock: Clock;
  #leftMs: number;

  /** @param totalMs milliseconds > 0 in all; `Infinity` = no limit */
  constructor(totalMs: number, clock: Clock) {
    this.#leftMs = totalMs;
    this.#clock = clock;
  }

  /** Milliseconds left, never below 0. At 0 a backend is not asked any more. */
  get leftMs(): number {
    return this.#leftMs;
  }

  /**
   * Runs one wait and charges its duration.
   * @param timeoutMs milliseconds >= 0 after which the wait gives up: what it takes beyond is not charged, since this process was busy with something
   * else then. A slow backend costs no more for it, and a process under load still asks for the second thing that it needs. Default `Infinity`: all is charged
   */
  async spend<T>(wait: () => Promise<T>, timeoutMs: number = Infinity): Promise<T> {
    const startedAt = this.#clock.now();
    try {
      return await wait();
    } finally {
      this.#leftMs = Math.max(0, this.#leftMs - Math.min(timeoutMs, this.#clock.now() - startedAt));
    }
  }
}
