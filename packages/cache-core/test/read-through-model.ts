// What a read-through call answers, told anew from the pages on stale policies and stampedes in the fewest lines: one process, one clock, every
// load an event. It shares nothing with the implementation, and is compared with it step by step in read-through-model.test.ts.

/** What a call asks for, every default in place. */
export interface ModelPolicy {
  readonly ttlMs: number;
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  readonly negativeTtlMs: number | undefined;
  readonly errorTtlMs: number | undefined;
  readonly softTimeoutMs: number;
  readonly timeoutMs: number;
  readonly forceRefresh: boolean;
  readonly tags: readonly string[];
}

/** What a loader will do. `delayMs`: 0 = at once, `Infinity` = never comes back. */
export interface ModelLoad {
  readonly delayMs: number;
  readonly fails: boolean;
  readonly value: unknown;
  readonly isSkipped: boolean;
  readonly ttlMs: number | undefined;
}

/** Hears the answer of one call: a value, or the name of an error. */
export type Answer = (told: string) => void;

interface Entry {
  readonly value: unknown;
  readonly staleAt: number;
  readonly expiresAt: number;
  readonly tags: readonly string[];
}

interface Waiter {
  readonly policy: ModelPolicy;
  readonly answer: Answer;
  isAnswered: boolean;
  hasLeft: boolean;
}

interface Flight {
  readonly key: string;
  readonly load: ModelLoad;
  readonly policy: ModelPolicy;
  stale: Entry | undefined;
  readonly tags: Set<string>;
  readonly waiters: Waiter[];
  /** Those who wait, and one for nobody where the load runs behind a stale value. */
  holders: number;
  isDetached: boolean;
  isOver: boolean;
}

/** A value as answers tell it. */
export const toldValue = (value: unknown): string => (value === undefined ? "undefined" : JSON.stringify(value));

const FAILED = "failed";
const TIMED_OUT = "ERR_CACHE_TIMEOUT";
const ABORTED = "ERR_CACHE_ABORTED";

export class ReadThroughModel {
  readonly counts = { hits: 0, misses: 0, staleHits: 0, loads: 0, loadErrors: 0, coalesced: 0, sets: 0, rejectedFills: 0 };
  #now = 0;
  #timers: Array<{ readonly dueAt: number; readonly act: () => void }> = [];
  readonly #entries: Map<string, Entry> = new Map();
  readonly #flights: Map<string, Flight> = new Map();
  /** All that ever began, over or not, in flight or detached. */
  readonly #begun: Flight[] = [];
  readonly #failures: Map<string, { readonly error: string; readonly until: number }> = new Map();

  advance(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const due = this.#timers.filter(({ dueAt }) => dueAt <= until).sort((a, b) => a.dueAt - b.dueAt)[0];
      if (!due) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.#now = due.dueAt;
      due.act();
    }
    this.#now = until;
  }

  get(key: string): string {
    const entry = this.#live(key);
    const isHit = entry !== undefined && this.#now < entry.staleAt;
    this.counts[isHit ? "hits" : "misses"] += 1;
    return toldValue(isHit ? entry.value : undefined);
  }

  /** @returns what aborts the call */
  getOrSet(key: string, load: ModelLoad, policy: ModelPolicy, answer: Answer): () => void {
    const entry = this.#live(key);
    if (entry && !policy.forceRefresh && this.#serve(key, entry, load, policy, answer)) return () => {};
    this.counts.misses += 1;
    const failure = policy.forceRefresh ? undefined : this.#failure(key);
    if (failure) {
      if (entry && this.#isWithin(entry, policy.staleIfErrorMs)) this.#tellStale(entry, answer);
      else answer(failure.error);
      return () => {};
    }
    const running = policy.forceRefresh ? undefined : this.#flights.get(key);
    if (running) this.counts.coalesced += 1;
    const flight = running ?? this.#start(key, load, policy, entry);
    const abort = this.#wait(flight, policy, answer);
    if (!running) this.#fly(flight);
    return abort;
  }

  set(key: string, value: unknown, ttlMs: number, tags: readonly string[]): void {
    this.drop(key);
    this.#entries.set(key, { value, staleAt: this.#now + ttlMs, expiresAt: this.#now + ttlMs, tags });
    this.counts.sets += 1;
  }

  /** What `invalidate` and `delete` of a key do here. */
  drop(key: string): void {
    this.#detach(key);
    this.#forgetStale((flown) => flown === key);
    this.#failures.delete(key);
    this.#entries.delete(key);
  }

  /** What a tag, a pattern or all does: every load is detached, and the entries meant are gone. */
  dropWhere(isMeant: (key: string, tags: readonly string[]) => boolean): void {
    for (const key of [...this.#flights.keys()]) this.#detach(key);
    this.#forgetStale(isMeant);
    this.#failures.clear();
    for (const [key, { tags }] of [...this.#entries]) if (isMeant(key, tags)) this.#entries.delete(key);
  }

  /** What was invalidated is no answer of any load any more; what was not may be one, though the load itself is detached. */
  #forgetStale(isMeant: (key: string, tags: readonly string[]) => boolean): void {
    for (const flight of this.#begun) if (flight.stale && isMeant(flight.key, flight.stale.tags)) flight.stale = undefined;
  }

  #live(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    return entry && this.#now < entry.expiresAt ? entry : undefined;
  }

  /** A live value, or a stale one with a load behind it. */
  #serve(key: string, entry: Entry, load: ModelLoad, policy: ModelPolicy, answer: Answer): boolean {
    const isLive = this.#now < entry.staleAt;
    if (!isLive && this.#now >= entry.staleAt + policy.staleWhileRevalidateMs) return false;
    this.counts.hits += 1;
    if (isLive) answer(toldValue(entry.value));
    else {
      this.#tellStale(entry, answer);
      if (!this.#flights.has(key) && !this.#failure(key)) this.#fly(this.#hold(this.#start(key, load, policy, entry)));
    }
    return true;
  }

  #start(key: string, load: ModelLoad, policy: ModelPolicy, stale: Entry | undefined): Flight {
    this.#detach(key);
    const tags = new Set(policy.tags);
    const flight: Flight = { key, load, policy, stale, tags, waiters: [], holders: 0, isDetached: false, isOver: false };
    this.#flights.set(key, flight);
    this.#begun.push(flight);
    this.counts.loads += 1;
    return flight;
  }

  #fly(flight: Flight): void {
    const { delayMs } = flight.load;
    if (delayMs === 0) this.#land(flight);
    else this.#after(delayMs, () => this.#land(flight));
  }

  #land(flight: Flight): void {
    const { load, key, policy, tags, waiters } = flight;
    if (flight.isOver) return;
    if (load.fails) {
      this.#fail(flight, FAILED);
      return;
    }
    this.#end(flight);
    if (!flight.isDetached) this.#failures.delete(key);
    if (load.value !== undefined && !load.isSkipped) {
      if (flight.isDetached) this.counts.rejectedFills += 1;
      else {
        const ttlMs = load.ttlMs ?? (load.value === null ? policy.negativeTtlMs : undefined) ?? policy.ttlMs;
        const staleAt = this.#now + ttlMs;
        const expiresAt = staleAt + Math.max(policy.staleWhileRevalidateMs, policy.staleIfErrorMs);
        this.#entries.set(key, { value: load.value, staleAt, expiresAt, tags: [...tags] });
        this.counts.sets += 1;
      }
    }
    for (const waiter of waiters) this.#tell(waiter, toldValue(load.value));
  }

  #fail(flight: Flight, error: string): void {
    if (flight.isOver) return;
    this.#end(flight);
    this.counts.loadErrors += 1;
    const { errorTtlMs } = flight.policy;
    // Nobody wanted it any more: that says nothing about the next one.
    if (errorTtlMs !== undefined && !flight.isDetached && error !== ABORTED)
      this.#failures.set(flight.key, { error, until: this.#now + errorTtlMs });
    for (const waiter of flight.waiters) if (!this.#takeStale(flight, waiter, waiter.policy.staleIfErrorMs)) this.#tell(waiter, error);
  }

  #end(flight: Flight): void {
    flight.isOver = true;
    if (this.#flights.get(flight.key) === flight) this.#flights.delete(flight.key);
  }

  #hold(flight: Flight): Flight {
    flight.holders += 1;
    this.#after(flight.policy.timeoutMs, () => this.#leave(flight, TIMED_OUT));
    return flight;
  }

  #wait(flight: Flight, policy: ModelPolicy, answer: Answer): () => void {
    const waiter: Waiter = { policy, answer, isAnswered: false, hasLeft: false };
    flight.holders += 1;
    flight.waiters.push(waiter);
    for (const tag of policy.tags) flight.tags.add(tag);
    const leave = (error: string): void => {
      if (waiter.hasLeft || flight.isOver) return;
      waiter.hasLeft = true;
      this.#leave(flight, error);
    };
    const softWindowMs = Math.max(policy.staleWhileRevalidateMs, policy.staleIfErrorMs);
    this.#after(policy.softTimeoutMs, () => !flight.isOver && this.#takeStale(flight, waiter, softWindowMs));
    this.#after(policy.timeoutMs, () => {
      if (flight.isOver || waiter.hasLeft) return;
      if (!this.#takeStale(flight, waiter, policy.staleIfErrorMs)) this.#tell(waiter, TIMED_OUT);
      leave(TIMED_OUT);
    });
    return () => {
      if (waiter.isAnswered) return;
      this.#tell(waiter, ABORTED);
      leave(ABORTED);
    };
  }

  #leave(flight: Flight, error: string): void {
    if (flight.isOver) return;
    flight.holders -= 1;
    if (flight.holders === 0) this.#fail(flight, error);
  }

  #takeStale(flight: Flight, waiter: Waiter, windowMs: number): boolean {
    const { stale } = flight;
    if (waiter.isAnswered || !stale || !this.#isWithin(stale, windowMs)) return false;
    waiter.isAnswered = true;
    this.#tellStale(stale, waiter.answer);
    return true;
  }

  #tell(waiter: Waiter, told: string): void {
    if (waiter.isAnswered) return;
    waiter.isAnswered = true;
    waiter.answer(told);
  }

  #tellStale(entry: Entry, answer: Answer): void {
    this.counts.staleHits += 1;
    answer(toldValue(entry.value));
  }

  #isWithin(entry: Entry, windowMs: number): boolean {
    return windowMs > 0 && this.#now < Math.min(entry.staleAt + windowMs, entry.expiresAt);
  }

  #failure(key: string): { readonly error: string } | undefined {
    const failure = this.#failures.get(key);
    return failure && this.#now < failure.until ? failure : undefined;
  }

  #detach(key: string): void {
    const flight = this.#flights.get(key);
    if (flight) flight.isDetached = true;
    this.#flights.delete(key);
  }

  #after(delayMs: number, act: () => void): void {
    if (delayMs !== Infinity) this.#timers.push({ dueAt: this.#now + delayMs, act });
  }
}
