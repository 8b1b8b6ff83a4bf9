import type { AbortSignalLike, CancelTimer, Clock, KeySpace, LeaseOutcome } from "@larder/cache-core";
import type { Lane } from "./lane.ts";
import { toText } from "./lane.ts";
import type { LaneVigil } from "./lane-vigil.ts";
import { probe, release, renew } from "./scripts.ts";
import type { Wake, WakeListener } from "./wake-listener.ts";

/** How long a lease stands without renewal, in milliseconds: what the others lose when its holder dies. */
export const LEASE_MS = 2_000;
/** Added to what a lease has left before it is looked at again, so that it is gone by then. */
const MARGIN_MS = 30;
/** How long a subscription may take at least: the load that is waited for takes longer. */
const LISTEN_TIMEOUT_MS = 500;

/** What leases work with. */
export interface LeasesOptions {
  readonly clock: Clock;
  readonly keySpace: KeySpace;
  readonly wakes: WakeListener;
  readonly vigil: LaneVigil;
  /** Milliseconds > 0 that taking or giving back may wait for Redis. */
  readonly timeoutMs: number;
  /** Milliseconds after which a load that never ends loses its lease. */
  readonly maxHoldMs: number;
}

/** A lease of this process. */
interface HeldLease {
  readonly value: string;
  cancelRenewal: CancelTimer;
}

/**
 * Who loads a key for the fleet. A lease is short and renewed at a third of its time while its owner lives, so that the others wait for
 * a dead one two seconds at most, and for a live one as long as its load takes. Those who wait are woken by the message of the script that
 * ends the lease. They subscribe first and look then, so that an end between the two is seen; and they look again when the lease must have
 * run out, because nobody tells of a death. That the server itself hangs is found out by the vigil.
 */
export class Leases {
  readonly #options: LeasesOptions;
  readonly #held: Map<string, HeldLease> = new Map();

  constructor(options: LeasesOptions) {
    this.#options = options;
  }

  /** Takes up the renewal of a lease. */
  hold(lane: Lane, key: string, value: string): void {
    const lease: HeldLease = { value, cancelRenewal: () => {} };
    const endAt = this.#options.clock.now() + this.#options.maxHoldMs;
    this.#held.get(key)?.cancelRenewal();
    this.#held.set(key, lease);
    this.#renewLater(lane, key, lease, endAt);
  }

  /** Ends the renewal, because the lease's end goes along with a fill. */
  letGo(key: string, value: string): void {
    const lease = this.#held.get(key);
    if (lease?.value !== value) return;
    lease.cancelRenewal();
    this.#held.delete(key);
  }

  /** Gives a lease back. Never rejects: left alone it runs out. */
  async release(lane: Lane, key: string, value: string, outcome: "not-stored" | "failed"): Promise<void> {
    this.letGo(key, value);
    const { keySpace, timeoutMs } = this.#options;
    await lane.run(release, [keySpace.lease(key)], [value, keySpace.wakeChannel(key), outcome], timeoutMs).catch(() => {});
  }

  /** Gives all leases back. */
  async releaseAll(laneOf: (key: string) => Lane): Promise<void> {
    await Promise.all([...this.#held].map(([key, { value }]) => this.release(laneOf(key), key, value, "failed")));
  }

  /**
   * Waits until `holder` no longer holds the lease.
   * @returns what the holder told; `undefined` when it is gone without a word
   */
  async wait(lane: Lane, key: string, holder: string, signal: AbortSignalLike | undefined): Promise<LeaseOutcome | undefined> {
    const { keySpace, wakes, vigil, timeoutMs } = this.#options;
    const channel = keySpace.wakeChannel(key);
    // The connection for it may have to be made first.
    const listenMs = Math.max(LISTEN_TIMEOUT_MS, 2 * timeoutMs);
    const wait = new Wait();
    const giveUp = (): void => wait.hear("gone");
    signal?.addEventListener("abort", giveUp);
    vigil.join(lane, giveUp);
    if (signal?.aborted) giveUp();
    try {
      for (;;) {
        wait.heard = undefined;
        if (!(await wakes.listen(channel, wait.hear, listenMs))) return "failed";
        const leftMs = await this.#look(lane, key, holder);
        if (leftMs === undefined || wait.isOver) return "failed";
        if (leftMs > 0) await wait.pause(this.#options.clock, leftMs + MARGIN_MS);
        const heard = wait.heard as Wake | undefined;
        if (wait.isOver) return "failed";
        if (heard !== undefined && heard !== "look" && heard !== "gone") return heard;
        if (leftMs === 0) return undefined;
      }
    } finally {
      signal?.removeEventListener("abort", giveUp);
      vigil.leave(lane, giveUp);
      wakes.leave(channel, wait.hear);
    }
  }

  /**
   * Milliseconds that the holder still has; 0 when it is another one or none; `undefined` when nobody can tell. More than a lease has, or no end at all,
   * no living holder can have for long: the server's clock was set back, and a dead holder's lease would last for as many hours.
   */
  async #look(lane: Lane, key: string, holder: string): Promise<number | undefined> {
    const { keySpace, timeoutMs } = this.#options;
    try {
      const [current, leftMs] = (await lane.run(probe, [keySpace.lease(key)], [], timeoutMs)) as [unknown, unknown];
      const left = Number(leftMs);
      return toText(current) === holder && left >= 0 && left <= LEASE_MS ? Math.max(1, left) : 0;
    } catch {
      return undefined;
    }
  }

  #renewLater(lane: Lane, key: string, lease: HeldLease, endAt: number): void {
    const { clock, keySpace, timeoutMs } = this.#options;
    lease.cancelRenewal = clock.setTimer(() => {
      if (this.#held.get(key) !== lease) return;
      if (clock.now() >= endAt) {
        this.#held.delete(key);
        return;
      }
      // Lost: another holds it now, and renewing goes on would be wrong. Unreachable: the next one may get through in time.
      lane.run(renew, [keySpace.lease(key)], [lease.value, LEASE_MS], timeoutMs).then(
        (isOurs) => {
          if (Number(isOurs) === 0 && this.#held.get(key) === lease) this.letGo(key, lease.value);
        },
        () => {},
      );
      this.#renewLater(lane, key, lease, endAt);
    }, LEASE_MS / 3);
  }
}

/** One wait for a lease to end. */
class Wait {
  heard: Wake | undefined;
  /** Nobody waits any more, or nothing will come. */
  isOver = false;
  #wakeUp: () => void = () => {};

  /** Takes in a wake. What the holder told is not forgotten for a later "look". */
  readonly hear: (wake: Wake) => void = (wake) => {
    if (wake === "gone") this.isOver = true;
    if (this.heard === undefined || this.heard === "look") this.heard = wake;
    this.#wakeUp();
  };

  /** Resolves at the next wake, at once when there was one, or after `delayMs`. */
  pause(clock: Clock, delayMs: number): Promise<void> {
    if (this.heard !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = clock.setTimer(resolve, delayMs);
      this.#wakeUp = () => {
        cancel();
        resolve();
      };
    });
  }
}
