import { ablated } from "./ablation.ts";
import type { InvalidationBus, InvalidationChannel } from "./bus.ts";
import type { InvalidationResult, SetOptions, SyncCache } from "./cache.ts";
import { checkKey, checkName } from "./check-option.ts";
import type { Clock } from "./clock.ts";
import { publishEvent } from "./events.ts";
import type { FencedStore } from "./fenced-store.ts";
import type { Flights } from "./flights.ts";
import type { Generations } from "./generations.ts";
import type { BackendCall, InvalidationTarget, Invalidator } from "./invalidation.ts";
import type { InvalidationMarks } from "./invalidation-marks.ts";
import { PendingInvalidations } from "./pending-invalidations.ts";
import type { Proof } from "./proof.ts";
import type { MutableCounters } from "./stats.ts";
import type { StoredEntry } from "./stored-entry.ts";

/** What the invalidations of one cache work on. Shared with its `TieredCache`. */
export interface InvalidationDeskOptions<V> {
  readonly namespace: string;
  readonly l1: SyncCache<StoredEntry<V>>;
  readonly l2: FencedStore<V> | undefined;
  readonly clock: Clock;
  readonly generations: Generations;
  readonly marks: InvalidationMarks;
  readonly proof: Proof;
  readonly flights: Flights<V>;
  readonly counters: MutableCounters;
  /** Failed invalidations held for retry at most. */
  readonly maxPending: number;
  readonly createCall: () => BackendCall;
}

/** Passes a target with a name of its kind. @throws {CacheError} ERR_CACHE_INVALID_OPTION otherwise */
function checkTarget(target: InvalidationTarget): void {
  if (target.kind === "key") checkKey(target.key);
  else if (target.kind === "tag") checkName("tag", target.tag);
  else if (target.kind === "pattern") checkName("pattern", target.pattern);
}

/**
 * Where the invalidations of one cache come together: those called here are taken effect of at once and sent, those of other processes are
 * heard and take effect the same way. What has not got through waits and is sent again.
 */
export class InvalidationDesk<V> {
  readonly #options: InvalidationDeskOptions<V>;
  readonly #pending: PendingInvalidations;
  #channel: InvalidationChannel | undefined;
  /** Where invalidations go: the second tier does it in one step with dropping its entry; without one the bus does. */
  #remote: Invalidator | undefined;
  /** What the bus was told in the place of the second tier. */
  readonly #told: WeakSet<InvalidationTarget> = new WeakSet();

  constructor(options: InvalidationDeskOptions<V>) {
    const { l2, clock, maxPending, createCall } = options;
    this.#options = options;
    this.#remote = l2;
    this.#pending = new PendingInvalidations({
      clock,
      limit: maxPending,
      send: async (target) => this.#remote?.invalidate(target, { budget: createCall().budget, isRepeat: true, channel: this.#channel }),
      isReached: (target, key) => l2?.hasReached?.(target, key) ?? false,
      onFailed: (target) => this.#tellBus(target),
    });
  }

  /** Whether anybody beyond this process is told. */
  get hasRemote(): boolean {
    return this.#remote !== undefined;
  }

  /** Joins the caches of this name in other processes. */
  join(bus: InvalidationBus, maxStalenessMs: number): void {
    const { namespace, l2, proof, counters } = this.#options;
    if (!ablated.has("proof")) proof.require();
    const channel = bus.join(namespace, {
      onInvalidation: ({ target, origin }) => {
        counters.remoteInvalidations += 1;
        this.drop(target);
        publishEvent("invalidation-received", () => ({ namespace, target, origin }));
      },
      onReset: (reason) => {
        if (ablated.has("reset")) return;
        this.drop({ kind: "all" });
        publishEvent("entries-reset", () => ({ namespace, reason }));
      },
      onProof: (provenAt) => {
        // A bus on another server or database than the second tier's does not hear what goes through it, and its proof is worth nothing.
        if (l2?.isOnChannel?.() !== false) proof.renew(provenAt);
        // The backend answers: what it would not take before need not wait for its next try.
        if (this.#pending.size > 0) void this.#pending.flush();
      },
      onProofLost: () => proof.revoke(),
    });
    this.#channel = channel;
    this.#remote ??= channel;
    l2?.attach(channel, maxStalenessMs);
  }

  /** Resolves when the bus has proven itself once; at once without one. */
  async ready(): Promise<void> {
    await this.#channel?.ready();
  }

  /** Whether the second tier must not be read for a key: an invalidation by this process has not reached it yet. */
  covers(key: string): boolean {
    return this.#pending.covers(key);
  }

  /** Takes effect in this process: nothing of the target is served, joined or kept any more. */
  drop(target: InvalidationTarget): void {
    const { l1, generations, marks, flights } = this.#options;
    if (target.kind === "key") {
      if (!ablated.has("local-generation")) generations.advance(target.key);
      flights.invalidate(target.key);
      this.#empty(() => l1.delete(target.key));
      return;
    }
    flights.invalidateAll();
    if (target.kind === "tag") marks.markTag(target.tag);
    else if (target.kind === "pattern") marks.markPattern(target.pattern);
    else {
      marks.markAll();
      this.#empty(() => l1.clear());
    }
  }

  /** A first tier that fails, closed under this cache for example, must not keep the others from being told: what it may still hold is void. */
  #empty(drop: () => void): void {
    try {
      drop();
    } catch {
      this.#options.marks.markAll();
    }
  }

  /** Drops the target here and in the second tier, and tells the other processes. */
  async invalidate(target: InvalidationTarget): Promise<InvalidationResult> {
    const { namespace, counters } = this.#options;
    checkTarget(target);
    counters.invalidations += 1;
    this.drop(target);
    const isPropagated = await this.tell(target);
    publishEvent("invalidation-sent", () => ({ namespace, target, isPropagated }));
    return { propagated: isPropagated, pending: this.#pending.size };
  }

  /** Drops the target in the second tier and tells the other processes. @returns whether that was acknowledged; if not it is sent again */
  tell(target: InvalidationTarget): Promise<boolean> {
    return this.#send(target, (remote, call) => remote.invalidate(target, call));
  }

  /** Brings a value that the first tier has taken (`isKept`), or not, to the second, and has the others drop theirs. @returns whether all have it */
  async publishSet(key: string, value: V, { isKept, ...options }: Required<SetOptions> & { readonly isKept: boolean }): Promise<boolean> {
    const { l1, l2, generations, counters } = this.#options;
    const generation = generations.of(key);
    let isStored = true;
    try {
      const isSent = await this.#send({ kind: "key", key }, async (remote, call) => {
        if (l2) ({ isStored } = await l2.replace(key, value, { ...options, staleMs: 0 }, call));
        else await remote.invalidate({ kind: "key", key }, call);
      });
      counters[isKept ? "sets" : "rejectedSets"] += 1;
      return isKept && isSent && isStored;
    } catch (error) {
      // Refused by the second tier before anything was sent: what this process alone has must go, too.
      l1.delete(key);
      throw error;
    } finally {
      // Another set may have taken its place in the order before or after ours, and the second tier tells which of them holds. Without one, whatever
      // came since has dropped our value already, and what is there now is younger.
      if (l2 && generations.of(key) !== generation) l1.delete(key);
    }
  }

  /** Waits for what is on its way, and sends what failed once more. Nothing is retried afterwards. */
  async drain(): Promise<void> {
    await this.#pending.drain();
    this.#pending.close();
  }

  /** Leaves the bus. */
  leave(): void {
    this.#channel?.leave();
  }

  async #send(target: InvalidationTarget, send: (remote: Invalidator, call: BackendCall) => Promise<unknown>): Promise<boolean> {
    const remote = this.#remote;
    if (!remote) return true;
    const { createCall, counters } = this.#options;
    // One literal: fields added to the copy of a spread get a hidden class for each object (Node 20), at every set and invalidation.
    const isSent = await this.#pending.run(target, () => send(remote, { budget: createCall().budget, channel: this.#channel }));
    if (isSent) return true;
    counters.errors += 1;
    return false;
  }

  /**
   * What the second tier did not take, the bus may: it may be on another server, and those on it count what it proves while they cannot reach the tier
   * either. Each is told once like that, and again when the tier takes it, for others may have read there meanwhile.
   */
  #tellBus(target: InvalidationTarget): void {
    const { l2, createCall } = this.#options;
    const channel = this.#channel;
    if (!channel || !l2 || this.#told.has(target)) return;
    this.#told.add(target);
    // An object of its own: by the target's the channel would take the second telling for a repeat of this one.
    channel.invalidate({ ...target }, createCall()).catch(() => this.#told.delete(target));
  }
}
