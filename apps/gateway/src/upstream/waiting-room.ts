/** A call that has no connection yet. */
export interface Waiter {
  /** It has waited for too long: nobody shall wait for it any more. */
  giveUp(): void;
}

/** A place in the room. */
export interface WaitingPlace {
  /** The tick of the room at which it was taken. */
  readonly cameAt: number;
  /** `undefined` once it is left: a Set keeps what was in it until a full collection, and would keep all that a call has made. */
  waiter: Waiter | undefined;
}

/** How long calls wait, and how many. */
export interface WaitingRoomOptions {
  /** Milliseconds > 0 between two looks at who waits. @default 1000 */
  readonly tickMs?: number;
  /** Ticks that a call waits, integer >= 1. @default 30 */
  readonly patience?: number;
  /** Calls that wait at most, those included that have been given up: undici holds them, and their bodies, until a connection is free. @default 10000 */
  readonly maxWaiting?: number;
}

/**
 * Calls that wait for a connection. Connections to a provider are bounded, and undici lets calls wait for one for as long as it takes: streams that
 * last for minutes would keep everybody else waiting without a word. One timer looks after all of them, since nearly every call leaves again at once.
 */
export class WaitingRoom {
  readonly #tickMs: number;
  readonly #patience: number;
  readonly #maxWaiting: number;
  readonly #waiting = new Set<WaitingPlace>();
  #tick = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor({ tickMs = 1_000, patience = 30, maxWaiting = 10_000 }: WaitingRoomOptions = {}) {
    this.#tickMs = tickMs;
    this.#patience = patience;
    this.#maxWaiting = maxWaiting;
  }

  /** Whether nobody else may wait. */
  get isFull(): boolean {
    return this.#waiting.size >= this.#maxWaiting;
  }

  enter(waiter: Waiter): WaitingPlace {
    this.#timer ??= setInterval(() => this.#look(), this.#tickMs).unref();
    const place: WaitingPlace = { cameAt: this.#tick, waiter };
    this.#waiting.add(place);
    return place;
  }

  /** It has a connection, or undici has given it up by itself. */
  leave(place: WaitingPlace): void {
    place.waiter = undefined;
    this.#waiting.delete(place);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#waiting.clear();
  }

  #look(): void {
    this.#tick += 1;
    for (const { cameAt, waiter } of this.#waiting) {
      const waited = this.#tick - cameAt;
      // They stand in the order in which they came.
      if (waited < this.#patience) return;
      if (waited === this.#patience) waiter?.giveUp();
    }
  }
}
