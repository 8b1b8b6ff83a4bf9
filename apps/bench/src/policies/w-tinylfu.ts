import { FrequencySketch } from "./frequency-sketch.ts";
import { KeyLists } from "./key-lists.ts";
import type { Policy } from "./policy.ts";
import { WindowClimber } from "./window-climber.ts";

const WINDOW = 0;
const PROBATION = 1;
const PROTECTED = 2;
/** Share of the main space that is protected. */
const PROTECTED_SHARE = 0.8;
/** Share of the capacity that newcomers get at first. */
const WINDOW_SHARE = 0.01;
/** A candidate this warm is let in at random though it loses, so that nobody can pin the victim (hash flooding). */
const WARM_COUNT = 6;
const WARM_ODDS = 128;

/**
 * W-TinyLFU as Caffeine has it: an LRU window, a segmented LRU main space, and admission by frequency between the two.
 * With `isAdaptive` the window's size climbs towards more hits (Einziger, Eytan, Friedman, Manes, Middleware '18).
 */
export class WTinyLfuPolicy implements Policy {
  readonly #lists: KeyLists;
  readonly #sketch: FrequencySketch;
  readonly #capacity: number;
  readonly #climber: WindowClimber | undefined;
  #windowCapacity: number;
  #random = 0x2545f491;

  constructor(capacity: number, universe: number, isAdaptive: boolean) {
    this.#capacity = capacity;
    this.#windowCapacity = Math.max(1, Math.round(capacity * WINDOW_SHARE));
    this.#lists = new KeyLists(universe, 3);
    this.#sketch = new FrequencySketch(capacity);
    this.#climber = isAdaptive ? new WindowClimber(capacity) : undefined;
  }

  access(key: number): boolean {
    const list = this.#lists.listOf(key);
    this.#sketch.increment(key);
    if (list >= 0) this.#touch(key, list);
    else this.#bringIn(key);
    const step = this.#climber?.record(list >= 0) ?? 0;
    if (step !== 0) this.#resizeWindow(step);
    return list >= 0;
  }

  #touch(key: number, list: number): void {
    if (list !== PROBATION) {
      this.#lists.moveToFront(list, key);
      return;
    }
    this.#lists.remove(key);
    this.#lists.pushFront(PROTECTED, key);
    this.#demote();
  }

  #demote(): void {
    const protectedCapacity = Math.floor((this.#capacity - this.#windowCapacity) * PROTECTED_SHARE);
    while (this.#lists.sizeOf(PROTECTED) > protectedCapacity) this.#lists.pushFront(PROBATION, this.#lists.popBack(PROTECTED));
  }

  #bringIn(key: number): void {
    const lists = this.#lists;
    lists.pushFront(WINDOW, key);
    if (lists.sizeOf(WINDOW) <= this.#windowCapacity) return;
    const candidate = lists.popBack(WINDOW);
    const isFull = lists.sizeOf(WINDOW) + lists.sizeOf(PROBATION) + lists.sizeOf(PROTECTED) >= this.#capacity;
    if (!isFull) lists.pushFront(PROBATION, candidate);
    else this.#admit(candidate);
  }

  #admit(candidate: number): void {
    const victimList = this.#lists.sizeOf(PROBATION) > 0 ? PROBATION : PROTECTED;
    const victim = this.#lists.back(victimList);
    if (victim < 0 || !this.#isBetter(candidate, victim)) return;
    this.#lists.remove(victim);
    this.#lists.pushFront(PROBATION, candidate);
  }

  #isBetter(candidate: number, victim: number): boolean {
    const frequency = this.#sketch.frequency(candidate);
    if (frequency > this.#sketch.frequency(victim)) return true;
    if (frequency < WARM_COUNT) return false;
    this.#random = (Math.imul(this.#random, 1_664_525) + 1_013_904_223) >>> 0;
    return (this.#random >>> 16) % WARM_ODDS === 0;
  }

  #resizeWindow(step: number): void {
    const lists = this.#lists;
    this.#windowCapacity = Math.min(this.#capacity - 1, Math.max(1, this.#windowCapacity + step));
    this.#demote();
    while (lists.sizeOf(WINDOW) > this.#windowCapacity) lists.pushFront(PROBATION, lists.popBack(WINDOW));
    while (lists.sizeOf(WINDOW) < this.#windowCapacity && lists.sizeOf(PROBATION) > 0) lists.pushFront(WINDOW, lists.popBack(PROBATION));
  }
}
