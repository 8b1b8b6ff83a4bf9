import type { CancelTimer, Clock } from "@larder/cache-core";
import type { Lane } from "./lane.ts";

/** How often a lane in which somebody waits is asked whether it still answers, in milliseconds. */
const ASK_EVERY_MS = 250;

/** What a vigil works with. */
export interface LaneVigilOptions {
  readonly clock: Clock;
  /** How long an answer may take, in milliseconds. */
  readonly timeoutMs: number;
}

/** Those who wait in one lane. */
interface Watch {
  readonly giveUps: Set<() => void>;
  cancelAsk: CancelTimer;
}

/**
 * Stands by those who wait for another process's load. Their wait is as long as that load, and nothing of theirs is sent meanwhile: that
 * the server hangs would be noticed by nobody, the breaker included, until a lease should have run out. So a lane in which somebody waits
 * is asked every quarter of a second whether it still answers, one small read for all of them; when no answer comes in the time that a write has,
 * they stop waiting and load by themselves. The time of a read would be too short: a server that is held up for a moment, by a fork or a
 * slow command, would cost a load in every process.
 */
export class LaneVigil {
  readonly #options: LaneVigilOptions;
  readonly #watches: Map<Lane, Watch> = new Map();

  constructor(options: LaneVigilOptions) {
    this.#options = options;
  }

  /** Begins to stand by a wait. @param giveUp called when the lane does not answer */
  join(lane: Lane, giveUp: () => void): void {
    let watch = this.#watches.get(lane);
    if (!watch) {
      watch = { giveUps: new Set(), cancelAsk: () => {} };
      this.#watches.set(lane, watch);
      this.#askLater(lane, watch);
    }
    watch.giveUps.add(giveUp);
  }

  /** The wait is over. */
  leave(lane: Lane, giveUp: () => void): void {
    const watch = this.#watches.get(lane);
    if (!watch?.giveUps.delete(giveUp) || watch.giveUps.size > 0) return;
    watch.cancelAsk();
    this.#watches.delete(lane);
  }

  #askLater(lane: Lane, watch: Watch): void {
    const { clock, timeoutMs } = this.#options;
    watch.cancelAsk = clock.setTimer(() => {
      lane.ask(timeoutMs, (isAnswering) => {
        if (!isAnswering) for (const giveUp of [...watch.giveUps]) giveUp();
        if (this.#watches.get(lane) === watch) this.#askLater(lane, watch);
      });
    }, ASK_EVERY_MS);
  }
}
