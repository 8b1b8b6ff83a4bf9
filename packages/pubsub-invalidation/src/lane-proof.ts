import type { Version } from "@larder/cache-core";
import type { LaneOrder } from "./lane-order.ts";

/** Heartbeats whose nonce may still come. */
const MAX_BEATS = 16;

/** A heartbeat that was sent. */
export interface Beat {
  /** How many were sent up to it. */
  readonly order: number;
  /** Monotonic milliseconds. */
  readonly sentAt: number;
  /** What was known when it was sent: a server that answers less, in the same epoch and baseline, has lost writes. */
  readonly seqFloor: number;
  readonly baselines: number;
}

/** A heartbeat that was heard, and when it was sent. */
type Heard = Version & Pick<Beat, "sentAt">;

/** Keeps the heartbeats that a lane sends, and weighs those that it hears: whether nothing before them was missed. Why so, stands in the essay of `lane.ts`. */
export class LaneProof {
  /** Heartbeats sent. */
  beats = 0;
  /** When the last one was sent, in monotonic milliseconds. */
  beatAt: number = -Infinity;
  /** The heartbeats still expected, by nonce. */
  readonly #expected: Map<string, Beat> = new Map();
  readonly #order: LaneOrder;
  /** The newest heartbeat heard that is not yet covered. */
  #pending: Heard | undefined;
  /** Not subscribed, or subscribed anew and not yet caught up with by way of the log: places heard since the last one verified count for nothing. */
  #isUnverified = true;
  /** Beats before this one were sent before the subscription stood: others may have heard their nonces where we did not. */
  #firstBeat = Infinity;

  constructor(order: LaneOrder) {
    this.#order = order;
  }

  /** Whether the subscription stands, as far as the port has told. */
  get isSubscribed(): boolean {
    return this.#firstBeat < Infinity;
  }

  /** The heartbeat that is weighed. One of another epoch is not: the reply of its own check decides. */
  get pending(): Heard | undefined {
    return this.#pending?.epoch === this.#order.epoch ? this.#pending : undefined;
  }

  /** A heartbeat is sent. */
  send(nonce: string, sentAt: number): Beat {
    const { seq: seqFloor, baselines } = this.#order;
    this.beats += 1;
    this.beatAt = sentAt;
    const beat: Beat = { order: this.beats, sentAt, seqFloor, baselines };
    this.#expected.set(nonce, beat);
    const oldest = this.#expected.keys().next();
    if (this.#expected.size > MAX_BEATS && !oldest.done) this.#expected.delete(oldest.value);
    return beat;
  }

  /** Whether the nonce of a heartbeat was not heard. */
  isExpected(nonce: string): boolean {
    return this.#expected.has(nonce);
  }

  /** A nonce was heard. @returns the heartbeat, `undefined` when it is none of ours or too old */
  take(nonce: string): Beat | undefined {
    const beat = this.#expected.get(nonce);
    this.#expected.delete(nonce);
    return beat;
  }

  /** The subscription changed: what is heard counts again from the next heartbeat on, or not until there is another subscription. */
  doubt(isSubscribed: boolean): void {
    this.#isUnverified = true;
    this.#firstBeat = isSubscribed ? this.beats + 1 : Infinity;
    this.#order.verifyTo = this.#pending = undefined;
  }

  /** Whether a heartbeat was sent while the subscription stood. */
  counts({ order }: Beat): boolean {
    return order >= this.#firstBeat;
  }

  /** Takes in a heartbeat that counts. Of several the one that was sent last is weighed. */
  weigh(heard: Heard): void {
    if (this.#pending === undefined || heard.sentAt >= this.#pending.sentAt) this.#pending = heard;
  }

  /** None is weighed any more. */
  drop(): void {
    this.#pending = undefined;
  }

  /** Whether everything up to a heartbeat's place was told, as far as this subscription and the log can say. */
  isCovered(seq: number): boolean {
    const order = this.#order;
    if (this.#isUnverified) {
      order.verifyTo ??= seq;
      if (order.verified < order.verifyTo) return false;
      this.#isUnverified = false;
    }
    return seq <= order.seq;
  }
}
