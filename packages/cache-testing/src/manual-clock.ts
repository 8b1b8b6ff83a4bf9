import * as timers from "node:timers";
import type { CancelTimer, Clock } from "@larder/cache-core";

/** Node's own, taken before a test puts fake timers in its place: those would wait for who waits for them. A browser's environment has none. */
const { setImmediate: endOfTurn } = timers;

interface Timer {
  readonly dueAt: number;
  readonly order: number;
  readonly callback: () => void;
}

/** A `Clock` that stands still until a test moves it. Timers fire in the order in which they are due, those due together as they were set. */
export class ManualClock implements Clock {
  #now: number;
  #wallOffset: number;
  #order = 0;
  readonly #timers: Set<Timer> = new Set();

  /**
   * @param startAt where the monotonic clock begins, in milliseconds
   * @param wallStartAt where the wall clock begins, in epoch milliseconds
   */
  constructor(startAt = 1_000, wallStartAt = 1_700_000_000_000) {
    this.#now = startAt;
    this.#wallOffset = wallStartAt - startAt;
  }

  now(): number {
    return this.#now;
  }

  wallNow(): number {
    return this.#now + this.#wallOffset;
  }

  setTimer(callback: () => void, delayMs: number): CancelTimer {
    this.#order += 1;
    const timer: Timer = { dueAt: this.#now + Math.max(0, delayMs), order: this.#order, callback };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  }

  /** Timers that have been set and neither fired nor been cancelled: a test may hold this to a bound. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /**
   * Lets `ms` milliseconds pass and fires what falls due, without waiting for promises: use `advanceAsync` where they matter.
   * @throws {RangeError} for what is no number of milliseconds >= 0: a monotonic clock does not go back, and not past all times either
   */
  advance(ms: number): void {
    const until = this.#after(ms);
    for (let timer = this.#nextDue(until); timer; timer = this.#nextDue(until)) this.#fire(timer);
    this.#now = until;
  }

  /** The same, and lets promises settle before, between and after the timers. */
  async advanceAsync(ms: number): Promise<void> {
    const until = this.#after(ms);
    await settle();
    for (let timer = this.#nextDue(until); timer; timer = this.#nextDue(until)) {
      this.#fire(timer);
      await settle();
    }
    this.#now = until;
    await settle();
  }

  /** Moves the wall clock alone, as an administrator or a time server would. */
  jumpWall(ms: number): void {
    this.#wallOffset += ms;
  }

  #after(ms: number): number {
    if (!Number.isFinite(ms) || ms < 0)
      throw new RangeError(`a manual clock advances by a number of milliseconds >= 0, not by ${String(ms)}`);
    return this.#now + ms;
  }

  #fire(timer: Timer): void {
    this.#timers.delete(timer);
    this.#now = Math.max(this.#now, timer.dueAt);
    timer.callback();
  }

  #nextDue(until: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueAt > until) continue;
      if (!next || timer.dueAt < next.dueAt || (timer.dueAt === next.dueAt && timer.order < next.order)) next = timer;
    }
    return next;
  }
}

/** Resolves when every promise chain that can go on without time or input has done so. */
export function settle(): Promise<void> {
  return new Promise((resolve) => endOfTurn(resolve));
}
