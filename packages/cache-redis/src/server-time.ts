/** A clock that is back by more than this, in milliseconds, was set back. */
const STEP_MS = 100;
/** How fast clocks drift apart at most, by a correction that slews them included: half a millisecond a second. */
const DRIFT = 0.0005;

/**
 * The server's clock, from the times that scripts report. A sample bounds the offset between its clock and ours by the round trip it
 * took: the reply was written after the call left and before it came back. Bounds that overlap are narrowed, the former ones by as much wider as clocks
 * may have drifted since; bounds that do not mean that one of the clocks jumped, and the new ones stand.
 */
export class ServerTime {
  #low = Number.NaN;
  #high = Number.NaN;
  #learntAt = -Infinity;

  /**
   * Takes in a sample.
   * @param serverAt what the server said, in milliseconds, rounded down
   * @param sentAt monotonic milliseconds when the call left
   * @param receivedAt monotonic milliseconds when the reply came
   */
  learn(serverAt: number, sentAt: number, receivedAt: number): void {
    if (!Number.isFinite(serverAt)) return;
    const low = serverAt - receivedAt;
    const high = serverAt + 1 - sentAt;
    const drift = this.#drift(receivedAt);
    const [formerLow, formerHigh] = [this.#low - drift, this.#high + drift];
    // Never before the first sample: this compares with NaN then.
    const isOverlapping = low <= formerHigh && high >= formerLow;
    this.#low = isOverlapping ? Math.max(formerLow, low) : low;
    this.#high = isOverlapping ? Math.min(formerHigh, high) : high;
    this.#learntAt = receivedAt;
  }

  /**
   * Whether a sample shows that the server's clock was set back since the last ones. What was stored before is dated in a future then, and would
   * live for as much longer: nothing of it can be judged any more.
   */
  wasSetBack(serverAt: number, sentAt: number, receivedAt: number): boolean {
    // Before the first sample, and for one that cannot be read, this compares with NaN, and says no.
    return serverAt + 1 - sentAt < this.#low - this.#slack(receivedAt);
  }

  /**
   * Whether an instant lies in the server's future. What is dated so was stored after its clock had been set forward, which is not known here yet, or
   * before it was set back: how old it is cannot be told.
   */
  isToCome(serverAt: number, now: number): boolean {
    return serverAt > this.latest(now) + this.#slack(now);
  }

  /** The server's time now, rather too late than too early: what an entry's age is judged by, so that it is never served past its time. */
  latest(now: number): number {
    return now + this.#high;
  }

  /** By how much clocks may have drifted apart since the last sample, and a step be too small to count. */
  #slack(now: number): number {
    return STEP_MS + this.#drift(now);
  }

  #drift(now: number): number {
    return DRIFT * (now - this.#learntAt);
  }

  /** The server's time now, rather too early than too late: what deadlines are set by, so that no effect comes after them. */
  earliest(now: number): number {
    return now + this.#low;
  }
}
