import type { Lane } from "./lane.ts";

/** Heartbeats that wait for their answers at one time: what a port takes besides invalidations. */
const BEATS_AT_ONCE = 256;

/**
 * Sends the heartbeats of all lanes of a bus, so many at a time. Sent all at once, those beyond what the port takes would fail, and, the
 * order being the same each time, be the same ones for ever: lanes that never prove themselves. A lane that could not be served before
 * the next round keeps its place before the others.
 */
export class BeatQueue {
  readonly #due: Set<Lane> = new Set();
  #underWay = 0;

  /** Wants a heartbeat of each lane. Those for which there is room are sent before this returns. */
  add(lanes: Iterable<Lane>): void {
    for (const lane of lanes) this.#due.add(lane);
    this.#send();
  }

  /** Takes lanes back that are no more. */
  remove(lanes: Iterable<Lane>): void {
    for (const lane of lanes) this.#due.delete(lane);
  }

  #send(): void {
    for (const lane of this.#due) {
      if (this.#underWay >= BEATS_AT_ONCE) return;
      this.#due.delete(lane);
      this.#underWay += 1;
      void lane.beat().finally(() => {
        this.#underWay -= 1;
        this.#send();
      });
    }
  }
}
