import type { Clock } from "@larder/cache-core";

/** Messages handled in one turn of the event loop: about a millisecond of work. */
const PER_TURN = 512;
/** Their characters, about: what makes long ones as much work. */
const LENGTH_PER_TURN = 262_144;
/** Messages kept waiting for later turns, and what they may hold in all, in characters: a few of the longest, or as many ordinary ones. */
const MAX_WAITING = 8_192;
const MAX_WAITING_LENGTH = 4 * 1_024 * 1_024;

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
  #waitingLength = 0;
  #handledThisTurn = 0;
  #lengthThisTurn = 0;
  #isTurnPlanned = false;

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  push(channel: string, text: string): void {
    this.#planTurn();
    if (this.#waiting.length === 0 && this.#handledThisTurn < PER_TURN && this.#lengthThisTurn < LENGTH_PER_TURN) {
      this.#handledThisTurn += 1;
      this.#lengthThisTurn += text.length;
      this.#options.handle(channel, text);
      return;
    }
    this.#waiting.push([channel, text]);
    this.#waitingLength += text.length;
    if (this.#waiting.length <= MAX_WAITING && this.#waitingLength <= MAX_WAITING_LENGTH) return;
    this.clear();
    this.#options.onOverflow();
  }

  /** Forgets what waits. */
  clear(): void {
    this.#waiting = [];
    this.#waitingLength = 0;
  }

  #planTurn(): void {
    if (this.#isTurnPlanned) return;
    this.#isTurnPlanned = true;
    this.#options.clock.setTimer(() => this.#startTurn(), 0);
  }

  #startTurn(): void {
    this.#isTurnPlanned = false;
    const batch = this.#waiting.splice(0, this.#countForTurn());
    this.#handledThisTurn = batch.length;
    this.#lengthThisTurn = batch.reduce((length, [, text]) => length + text.length, 0);
    this.#waitingLength -= this.#lengthThisTurn;
    if (batch.length > 0) this.#planTurn();
    for (const [channel, text] of batch) this.#options.handle(channel, text);
  }

  /** How many of those that wait one turn takes: one at least. */
  #countForTurn(): number {
    let count = 0;
    for (let length = 0; count < PER_TURN && length < LENGTH_PER_TURN; count += 1) {
      const next = this.#waiting[count];
      if (next === undefined) break;
      length += next[1].length;
    }
    return count;
  }
}
