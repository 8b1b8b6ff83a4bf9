import { Cancellation } from "./cancellation.ts";
import type { CacheError } from "./errors.ts";
import type { StoredEntry } from "./stored-entry.ts";
import { uniteTags } from "./unite-tags.ts";

const NO_TAGS: readonly string[] = [];

/** Where a flight belongs. */
export interface FlightHost<V> {
  /** Whether a stale entry may be served now: see `Proof`, and what was invalidated by tag, by pattern or with all since. */
  holds(key: string, stale: StoredEntry<V>): boolean;
  /** Nobody waits for the flight any more, and it is cancelled for that reason. */
  cancelled(flight: Flight<V>, reason: CacheError): void;
}

/** Gives a lease back and tells those who wait for it how it ended. */
type ReleaseLease = (outcome: "not-stored" | "failed") => void;

/** The result of a load that has not come back from its first step. */
interface EarlyResult<V> {
  readonly promise: Promise<V | undefined>;
  readonly follow: (result: Promise<V | undefined>) => void;
}

function createEarlyResult<V>(): EarlyResult<V> {
  let follow: EarlyResult<V>["follow"] = () => {};
  const promise = new Promise<V | undefined>((resolve) => {
    follow = resolve;
  });
  return { promise, follow };
}

/**
 * One load of one key in this process, shared by everyone who asks for the key while it runs.
 *
 * What was captured before it began decides whether its value may be kept. An invalidation detaches it: those who wait already get its
 * value, nobody joins it any more, and nothing of it is stored.
 */
export class Flight<V> {
  readonly key: string;
  /** The key's local generation before the load. */
  readonly generation: number;
  /** The process-wide invalidation epoch before the load. */
  readonly epoch: number;
  /** Monotonic milliseconds before the load: how old the data may be. */
  readonly capturedAt: number;
  /** Milliseconds for which its error is held back; 0 = not. */
  errorTtlMs = 0;
  /** Tags of everyone who joined: the entry must fall with each of them. */
  tags: readonly string[] = NO_TAGS;
  /** Set by an invalidation, or by a forced load that takes the flight's place. */
  isDetached = false;
  isSettled = false;
  /** Milliseconds past its time for which everyone who waits takes a value of the second tier, while a load runs behind: what the least patient asked for. */
  staleMs: number = Infinity;
  /** Ends with a stale value of the second tier, which those take who wait already: who comes now may not have asked for that. */
  isAnswered = false;
  /** Whether it is clear that a load is needed, so that each read of it is a miss. */
  isLoading = false;
  /** Reads that are counted when that is clear, or when the second tier has answered them. */
  uncountedReads = 0;
  /** Aborted when the last waiter has left or the load took too long. */
  readonly cancellation: Cancellation = new Cancellation();
  readonly #host: FlightHost<V>;
  #stale: StoredEntry<V> | undefined;
  #result: Promise<V | undefined> | undefined;
  #early: EarlyResult<V> | undefined;
  #releaseLease: ReleaseLease | undefined;
  #waiters = 0;

  constructor(key: string, captured: Pick<Flight<V>, "generation" | "epoch" | "capturedAt">, host: FlightHost<V>) {
    this.key = key;
    this.generation = captured.generation;
    this.epoch = captured.epoch;
    this.capturedAt = captured.capturedAt;
    this.#host = host;
  }

  /**
   * A stale entry that the load replaces, while it may be served: not after an invalidation, nor past the staleness bound. A load may run long
   * while this process is cut off, so it is judged at each look, and so it is after it was detached: by a forced load, or by what was invalidated
   * under another name.
   */
  get stale(): StoredEntry<V> | undefined {
    const stale = this.#stale;
    return stale && this.#host.holds(this.key, stale) ? stale : undefined;
  }

  set stale(entry: StoredEntry<V> | undefined) {
    this.#stale = entry;
  }

  /** How the load ends. A loader runs at once, so what it calls may ask for its key before there is a promise to give: one that follows is made then. */
  get result(): Promise<V | undefined> {
    if (this.#result) return this.#result;
    this.#early ??= createEarlyResult();
    return this.#early.promise;
  }

  set result(result: Promise<V | undefined>) {
    this.#result = result;
    this.#early?.follow(result);
  }

  /** Counts a waiter in. @param staleMs milliseconds past its time for which it takes a value of the second tier */
  join(tags: readonly string[], staleMs: number): void {
    this.#waiters += 1;
    this.staleMs = Math.min(this.staleMs, staleMs);
    this.tags = uniteTags(this.tags, tags);
  }

  /** Counts a waiter out; the last one cancels a load that still runs, for its own reason. */
  leave(reason: CacheError): void {
    this.#waiters -= 1;
    if (this.#waiters > 0 || this.isSettled) return;
    this.#host.cancelled(this, reason);
    this.cancellation.abort(reason);
  }

  /** The load runs under a lease, for which other processes wait. */
  holdLease(release: ReleaseLease): void {
    this.#releaseLease = release;
  }

  /** Gives the lease back, if there is one and it has not been: nothing will be stored, and nobody need wait for that. */
  endLease(outcome: "not-stored" | "failed"): void {
    const release = this.#releaseLease;
    this.#releaseLease = undefined;
    release?.(outcome);
  }
}
