import type { Clock } from "@larder/cache-core";

/** Messages handled in one turn of the event loop: about a millisecond of work. */
const PER_TURN = 512;
/** Messages kept waiting for later turns. */
const MAX_WAITING = 8_192;

/** What an inbox does with what comes. */
export interface InboxOptions {
  readonly clock: Clock;
  readonly handle: (channel: string, text: string) => void;
  /** More came than is kept: all that waited is gone. */
  readonly onOverflow: () => void;
}

/**
 * Takes messages in order and bounds what a flood costs. The first ones of a turn are handled at once, so an ordinary message waits
 * for nothing; the rest in later turns, between which the process serves its readers; and past a bound the waiting ones are dropped
 * unread, because dropping everything held is then cheaper than telling them apart.
 */
export class Inbox {
  readonly #options: InboxOptions;
  #waiting: Array<readonly [channel: string, text: string]> = [];
  #handledThisTurn = 0;
  #isTurnPlanned = false;

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  push(channel: string, text: string): void {
    this.#planTurn();
    if (this.#waiting.length === 0 && this.#handledThisTurn < PER_TURN) {
      this.#handledThisTurn += 1;
      this.#options.handle(channel, text);
      return;
    }
    this.#waiting.push([channel, text]);
    if (this.#waiting.length <= MAX_WAITING) return;
    this.clear();
    this.#options.onOverflow();
  }

  /** Forgets what waits. */
  clear(): void {
    this.#waiting = [];
  }

  #planTurn(): void {
    if (this.#isTurnPlanned) return;
    this.#isTurnPlanned = true;
    this.#options.clock.setTimer(() => this.#startTurn(), 0);
  }

  #startTurn(): void {
    this.#isTurnPlanned = false;
    const batch = this.#waiting.splice(0, PER_TURN);
    this.#handledThisTurn = batch.length;
    if (batch.length > 0) this.#planTurn();
    for (const [channel, text] of batch) this.#options.handle(channel, text);
  }
}
