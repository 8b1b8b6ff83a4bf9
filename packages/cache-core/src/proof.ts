import type { CancelTimer, Clock } from "./clock.ts";

/** Without proof for this long a cache calls itself degraded, in milliseconds, whatever staleness it tolerates. */
const BLIND_AFTER_MS = 1_000;

/** What a `Proof` reports to. */
export interface ProofOptions {
  readonly clock: Clock;
  /** Milliseconds for which an entry may be served without a newer proof; `Infinity` = until its time to live is over. */
  readonly maxStalenessMs: number;
  readonly onLost: () => void;
  readonly onRecovered: (lostForMs: number) => void;
}

/**
 * How old the last proof is that no invalidation was missed. One rule bounds staleness: an entry may be served at t only if
 * t <= max(captured, last proof) + `maxStalenessMs`. It is checked at the read, with the monotonic clock, so that a process whose event
 * loop was blocked, and whose timers and messages are therefore late, cannot serve something older than it promised.
 */
export class Proof {
  readonly #options: ProofOptions;
  /** Entries may be served until then whenever they were captured. `Infinity` where nothing can be missed. */
  servableUntil: number = Infinity;
  #lastAt = Infinity;
  #degradedMs = 0;
  #lostAt: number | undefined;
  #cancelWatch: CancelTimer | undefined;
  #isStopped = false;

  constructor(options: ProofOptions) {
    this.#options = options;
  }

  /** From now on only proof makes entries servable: called once when a bus is joined, before its first proof. */
  require(): void {
    this.#lastAt = -Infinity;
    this.servableUntil = -Infinity;
    this.#lostAt = this.#options.clock.now();
  }

  /** Takes in a proof. Older ones change nothing. */
  renew(provenAt: number): void {
    if (!(provenAt > this.#lastAt)) return;
    this.#lastAt = provenAt;
    this.servableUntil = provenAt + this.#options.maxStalenessMs;
    if (this.#lostAt !== undefined && this.#options.clock.now() - provenAt < BLIND_AFTER_MS) this.#recover(this.#lostAt);
    this.#watch(provenAt);
  }

  /** What was proved so far, however far it reached, stands as of now: nobody can tell of what comes. */
  revoke(): void {
    const now = this.#options.clock.now();
    if (this.#isStopped || this.#lastAt <= now) return;
    this.#lastAt = now;
    this.servableUntil = now + this.#options.maxStalenessMs;
    this.#watch(now);
  }

  /** Whether data captured at an instant may be served at another. */
  covers(capturedAt: number, now: number): boolean {
    return now <= Math.max(this.servableUntil, capturedAt + this.#options.maxStalenessMs);
  }

  /**
   * As of when data of the second tier that was asked for at an instant is known to be current. While a proof is fresh enough, the tier judges
   * values by what this process knows, and that is as old as the proof: counted from the read instead, a value that an unheard invalidation
   * voided could be served for twice the bound (found by the simulator: `second-tier-judged-by-an-old-proof.json`).
   */
  asOf(askedAt: number): number {
    return this.#options.clock.now() <= this.servableUntil ? Math.min(askedAt, this.#lastAt) : askedAt;
  }

  /** Whether invalidations may be missed unnoticed now. */
  get isLost(): boolean {
    return this.#lostAt !== undefined || this.#options.clock.now() - this.#lastAt > BLIND_AFTER_MS;
  }

  /** Milliseconds without proof so far. */
  get degradedMs(): number {
    return this.#degradedMs + (this.#lostAt === undefined ? 0 : this.#options.clock.now() - this.#lostAt);
  }

  /** Nothing may be served any more, and nothing is reported. */
  stop(): void {
    this.#isStopped = true;
    this.#cancelWatch?.();
    this.#cancelWatch = undefined;
    this.#lastAt = Infinity;
    this.servableUntil = -Infinity;
  }

  #recover(lostAt: number): void {
    const lostForMs = this.#options.clock.now() - lostAt;
    this.#degradedMs += lostForMs;
    this.#lostAt = undefined;
    this.#options.onRecovered(lostForMs);
  }

  #watch(provenAt: number): void {
    this.#cancelWatch?.();
    this.#cancelWatch = undefined;
    if (provenAt === Infinity) return;
    const { clock } = this.#options;
    this.#cancelWatch = clock.setTimer(
      () => {
        this.#cancelWatch = undefined;
        if (this.#lostAt !== undefined) return;
        this.#lostAt = provenAt + BLIND_AFTER_MS;
        this.#options.onLost();
      },
      Math.max(0, provenAt + BLIND_AFTER_MS - clock.now()),
    );
  }
}
