import { CacheError, type Clock, checkKey, checkWindowMs, type KeySpace, type RandomSource } from "@larder/cache-core";
import type { BreakerState } from "./breaker.ts";
import type { CallDesk } from "./call-desk.ts";
import { Lane } from "./lane.ts";
import type { Place } from "./place.ts";
import type { RedisPort } from "./redis-port.ts";

/** How often `ready` looks again by itself, in milliseconds: the cache may have been closed meanwhile. */
const LOOK_AGAIN_MS = 100;

/** What lanes are made of. */
export interface LanesOptions {
  readonly port: RedisPort;
  readonly desk: CallDesk;
  readonly keySpace: KeySpace;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly failureThreshold: number;
  readonly writeTimeoutMs: number;
  /** Told of every change, after `isOpen` shows it. */
  readonly onState: (lane: number, state: BreakerState) => void;
}

/** All lanes of a cache: which one a key lives in, and whether they can be used. */
export class Lanes {
  readonly all: readonly Lane[];
  readonly #options: LanesOptions;
  readonly #waiters: Set<() => void> = new Set();

  constructor(options: LanesOptions) {
    this.#options = options;
    this.all = Array.from({ length: options.keySpace.lanes }, (_, index) => this.#create(index));
  }

  /** Whether calls are sent in every lane. */
  get areOpen(): boolean {
    return this.all.every((lane) => lane.isOpen);
  }

  /** The worst of their states. */
  get state(): BreakerState {
    const states = this.all.map((lane) => lane.state);
    return states.includes("open") ? "open" : states.includes("half-open") ? "half-open" : "closed";
  }

  /** Where a key lives. @throws {CacheError} ERR_CACHE_INVALID_OPTION for what is no string */
  locate(key: string): Place {
    const { keySpace } = this.#options;
    const name = keySpace.nameOf(checkKey(key));
    return { lane: this.all[keySpace.laneOf(name)] as Lane, key, name };
  }

  /** The key of an entry of a lane, from the key that it has in Redis. */
  keyOf(lane: Lane, redisKey: string): string {
    const { keySpace } = this.#options;
    return keySpace.keyOf(redisKey.slice(`${keySpace.base(lane.index)}v:`.length));
  }

  /** Whether the bus's channel speaks of the records of all lanes, as far as anyone has told. Where not, their server is asked. */
  areOnChannel(): boolean {
    // Each of them is asked: the first that is not would keep the others from being checked.
    return this.all.filter((lane) => !lane.isOnChannel()).length === 0;
  }

  connect(): void {
    for (const lane of this.all) lane.connect();
  }

  disconnect(): void {
    for (const lane of this.all) lane.disconnect();
  }

  /** Waits until all can be used. @param checkOpen throws when it is of no use to wait any longer */
  async ready(timeoutMs: number, checkOpen: () => void): Promise<void> {
    const { clock } = this.#options;
    const giveUpAt = clock.now() + checkWindowMs("timeoutMs", timeoutMs);
    while (!this.areOpen) {
      checkOpen();
      if (clock.now() >= giveUpAt)
        throw new CacheError("ERR_CACHE_BACKEND", `Redis could not be used within ${timeoutMs} ms${this.#trouble}`);
      await new Promise<void>((resolve) => {
        this.#waiters.add(resolve);
        clock.setTimer(resolve, Math.min(LOOK_AGAIN_MS, giveUpAt - clock.now()));
      });
      this.#waiters.clear();
    }
  }

  /** Why the first lane that is not used is not. */
  get #trouble(): string {
    const trouble = this.all.find((lane) => !lane.isOpen)?.trouble ?? "";
    return trouble && `: ${trouble}`;
  }

  #create(index: number): Lane {
    const { onState, ...options } = this.#options;
    return new Lane({
      ...options,
      index,
      onState: (state) => {
        if (state === "closed") for (const wake of this.#waiters) wake();
        onState(index, state);
      },
    });
  }
}
