/** Milliseconds for which what is counted counts. */
export const MINUTE_MS = 60_000;
/** What comes within one second is remembered together, as of the last of it: a minute is sixty-one numbers at most, however much comes. */
export const SECOND_MS = 1_000;

/** What has come within one second. */
interface Second {
  readonly number: number;
  /** When the last of it came. */
  at: number;
  amount: number;
}

/**
 * What has been counted within the last sixty seconds. Nothing is forgotten before its minute is over, so no sixty seconds ever see more than a limit;
 * what came up to a second before others may count as long as they do.
 */
export class MinuteCount {
  readonly #seconds: Second[] = [];
  #total = 0;

  /** Milliseconds until `amount` more is within `limit`, which is never above a minute; 0: it is now. @param now monotonic milliseconds */
  waitMs(now: number, amount: number, limit: number): number {
    this.#forget(now);
    let over = this.#total + amount - limit;
    if (over <= 0) return 0;
    for (const second of this.#seconds) {
      over -= second.amount;
      if (over <= 0) return second.at + MINUTE_MS - now;
    }
    return MINUTE_MS;
  }

  /** @param amount a whole number */
  add(now: number, amount: number): void {
    this.#forget(now);
    this.#total += amount;
    const number = Math.floor(now / SECOND_MS);
    const last = this.#seconds.at(-1);
    if (last?.number === number) {
      last.amount += amount;
      last.at = now;
    } else this.#seconds.push({ number, at: now, amount });
  }

  /** Takes back what was added a moment ago. */
  takeBack(amount: number): void {
    const last = this.#seconds.at(-1);
    if (!last) return;
    const taken = Math.min(amount, last.amount);
    last.amount -= taken;
    this.#total -= taken;
  }

  #forget(now: number): void {
    for (let oldest = this.#seconds[0]; oldest && oldest.at + MINUTE_MS <= now; oldest = this.#seconds[0]) {
      this.#total -= oldest.amount;
      this.#seconds.shift();
    }
  }
}
