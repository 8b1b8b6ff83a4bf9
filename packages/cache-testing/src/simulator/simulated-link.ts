import type { SeededRandom } from "./seeded-random.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** How a connection behaves in one schedule. Probabilities from 0 to 1, times in milliseconds. */
export interface LinkWeather {
  /** One-way latency: at least this, and up to `spreadMs` more. */
  readonly latencyMs: number;
  /** Milliseconds by which one delivery may take longer than another. */
  readonly spreadMs: number;
  /** That a command under way when its connection is cut takes effect all the same, later. */
  readonly lateEffect: number;
  /** That a pushed message arrives twice. */
  readonly duplicate: number;
}

/** What a link tells its owner. */
export interface LinkEvents {
  onUp(): void;
  onDown(): void;
  /** Whether there is a server to connect to. @default always */
  isReachable?(): boolean;
}

/**
 * One connection between a process and the server: in each direction a lane that keeps its order, with latency. It can be stalled (what
 * is under way waits), cut (what is under way is lost, or takes effect unseen), and kept from coming back.
 */
export class SimulatedLink {
  readonly #time: VirtualTime;
  readonly #random: SeededRandom;
  readonly #weather: LinkWeather;
  readonly #events: LinkEvents;
  #generation = 0;
  #toServerAt = 0;
  #toClientAt = 0;
  #held: Array<() => void> = [];
  #isStalled = false;
  #isBarred = false;
  #isClosed = false;
  isUp = false;

  constructor(time: VirtualTime, random: SeededRandom, weather: LinkWeather, events: LinkEvents) {
    this.#time = time;
    this.#random = random;
    this.#weather = weather;
    this.#events = events;
  }

  /** Connects, unless something bars it; then as soon as nothing does. */
  connect(): void {
    if (this.isUp || this.#isClosed) return;
    const generation = this.#generation;
    this.#time.schedule(this.#latency() + this.#latency(), () => {
      if (this.isUp || this.#isClosed || this.#isBarred || generation !== this.#generation) return;
      if (this.#events.isReachable?.() === false) return;
      this.isUp = true;
      this.#events.onUp();
    });
  }

  /**
   * Sends something to the server. @param arrive runs there, unless it is lost on the way
   * @param isEffective whether it still takes effect when the connection is cut under it; by chance if left out
   */
  send(arrive: (isAnswerable: boolean) => void, isEffective?: boolean): void {
    const generation = this.#generation;
    this.#toServerAt = Math.max(this.#toServerAt, this.#time.now + this.#latency());
    const deliver = (): void => {
      if (this.#isStalled) this.#held.push(deliver);
      else if (this.isUp && generation === this.#generation) arrive(true);
      else if (isEffective ?? this.#random.chance(this.#weather.lateEffect)) arrive(false);
    };
    this.#time.schedule(this.#toServerAt - this.#time.now, deliver);
  }

  /** Sends something to the client on the connection that is up now; lost when that is cut. */
  push(arrive: () => void, mayRepeat = false): void {
    const generation = this.#generation;
    const deliver = (): void => {
      if (this.#isStalled) this.#held.push(deliver);
      else if (this.isUp && generation === this.#generation) arrive();
    };
    const repeats = mayRepeat && this.#random.chance(this.#weather.duplicate) ? 2 : 1;
    for (let time = 0; time < repeats; time += 1) {
      this.#toClientAt = Math.max(this.#toClientAt, this.#time.now + this.#latency());
      this.#time.schedule(this.#toClientAt - this.#time.now, deliver);
    }
  }

  /** Loses the connection. It comes back by itself unless barred. */
  cut(): void {
    if (this.#isClosed) return;
    this.#generation += 1;
    const wasUp = this.isUp;
    this.isUp = false;
    this.#toServerAt = 0;
    this.#toClientAt = 0;
    if (wasUp) this.#events.onDown();
    this.#time.schedule(20 + 60 * this.#random.next(), () => this.connect());
  }

  /** Holds everything back that is under way, as a network that has stopped does: nobody is told. */
  stall(): void {
    this.#isStalled = true;
  }

  /** Lets it go on, in order. */
  resume(): void {
    this.#isStalled = false;
    for (const deliver of this.#held.splice(0)) deliver();
  }

  /** Cuts the connection and keeps it from coming back. */
  bar(): void {
    this.#isBarred = true;
    this.cut();
  }

  /** Lets it come back. */
  unbar(): void {
    this.#isBarred = false;
    this.connect();
  }

  /** The process is gone, or has closed the connection. Nothing is told any more; what is under way may take effect. */
  close(): void {
    this.isUp = false;
    this.#generation += 1;
    this.#isClosed = true;
  }

  #latency(): number {
    return this.#weather.latencyMs + this.#weather.spreadMs * this.#random.next();
  }
}
