import type { CancelTimer, Clock, RandomSource } from "@larder/cache-core";

/** First and longest pause before a server that failed is asked again, in milliseconds. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/** `closed`: calls pass. `half-open`: one check is under way and nothing else. `open`: nothing passes. */
export type BreakerState = "closed" | "half-open" | "open";

/** How a breaker decides. */
export interface BreakerOptions {
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Calls in a row without an answer that open it, integer >= 1. */
  readonly failureThreshold: number;
  /** Asks the server whether it can be used. Rejects when not. */
  readonly check: () => Promise<void>;
  readonly onChange: (state: BreakerState) => void;
}

/**
 * Decides whether a server is asked at all. It starts open, opens when answers fail to come or the connection goes, and lets calls pass
 * only after the check has run: it is the same check that asks, after each connect, whether this is still the server that it was.
 * Between checks it waits, twice as long each time, at random somewhat less, so that a fleet does not come back in step.
 */
export class Breaker {
  readonly #options: BreakerOptions;
  #state: BreakerState = "open";
  #failures = 0;
  #pauseMs: number = FIRST_PAUSE_MS;
  /** Moves on with every change, so that a check that comes back late changes nothing. */
  #turn = 0;
  #isConnected = false;
  #cancelPause: CancelTimer | undefined;

  constructor(options: BreakerOptions) {
    this.#options = options;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** An answer came in time, of whatever kind. Only that, and not a check that passes, ends the growth of the pauses: it may take longer. */
  succeed(): void {
    this.#failures = 0;
    if (this.#state === "closed") this.#pauseMs = FIRST_PAUSE_MS;
  }

  /** No answer came in time. */
  fail(): void {
    this.#failures += 1;
    if (this.#failures >= this.#options.failureThreshold && this.#state === "closed") this.trip();
  }

  /** The server is of no use now: it is asked again after a pause. */
  trip(): void {
    this.#enter("open");
    if (!this.#isConnected || this.#cancelPause) return;
    const pauseMs = this.#pauseMs * (1 - this.#options.random.next() / 4);
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
    this.#cancelPause = this.#options.clock.setTimer(() => {
      this.#cancelPause = undefined;
      this.#ask();
    }, pauseMs);
  }

  /** A connection was made: checks it at once. */
  connect(): void {
    this.#isConnected = true;
    this.#stopWaiting();
    this.#ask();
  }

  /** The connection is gone: nothing is asked until there is another. */
  disconnect(): void {
    this.#isConnected = false;
    this.#stopWaiting();
    this.#enter("open");
  }

  #stopWaiting(): void {
    this.#cancelPause?.();
    this.#cancelPause = undefined;
  }

  #enter(state: BreakerState): void {
    this.#turn += 1;
    this.#failures = 0;
    if (this.#state === state) return;
    this.#state = state;
    this.#options.onChange(state);
  }

  #ask(): void {
    this.#enter("half-open");
    const turn = this.#turn;
    this.#options.check().then(
      () => {
        if (turn === this.#turn) this.#enter("closed");
      },
      () => {
        if (turn === this.#turn) this.trip();
      },
    );
  }
}
