import type { Clock } from "@larder/cache-core";
import type { SnapshotStore } from "./snapshot-store.ts";
import { checkStaleAlert, readInstant, type StaleAlert, type StaleAlertOptions } from "./stale-alert.ts";
import { withPatience } from "./with-patience.ts";

/** What a watch looks at, and whom it tells. */
export interface StaleWatchOptions {
  readonly store: Pick<SnapshotStore, "pulse" | "alertedAt" | "recordAlert" | "withLock">;
  readonly clock: Clock;
  readonly staleAfterMs: number;
  /** `isStoreAway`: the store did not answer, and the alert says what this process knows. `false` = not sent. */
  post(alert: StaleAlert, isStoreAway: boolean): Promise<boolean>;
}

/** Milliseconds to wait for each small answer of the store. */
const STORE_PATIENCE_MS = 5_000;
/** Milliseconds to wait for an alert to be sent. */
const POST_PATIENCE_MS = 30_000;
/** Milliseconds in all, where one process of a fleet is to send it. */
const LOCK_PATIENCE_MS = 60_000;

/**
 * The stale alert of one process. The store knows of completions and of alerts already sent, and is asked first. The case in which a
 * catalog goes stale most surely is that very store being away, so a copy of both is kept in the process: without the store an alert is
 * sent from it, once an episode and process instead of once an episode and fleet. What the process never learned it does not call stale
 * before it has itself waited for as long as a catalog may be old.
 */
export class StaleWatch {
  readonly #options: StaleWatchOptions;
  readonly #begunAt: number;
  #completedAt: number | undefined;
  #alertedAt: number | undefined;
  #isStoreAway = false;

  constructor(options: StaleWatchOptions) {
    this.#options = options;
    this.#begunAt = options.clock.now();
  }

  /** Notes a complete run of this process. */
  noteCompleted(at: number): void {
    this.#completedAt = at;
  }

  /** Tells when an alert is due. `onlyWhenAway`: nothing is told while the store answers. Never rejects. */
  async check(onlyWhenAway = false): Promise<void> {
    const { clock, staleAfterMs } = this.#options;
    this.#isStoreAway = false;
    const completedAt = await this.#lastCompletion();
    if (onlyWhenAway && !this.#isStoreAway) return;
    if (this.#isStoreAway && completedAt === undefined && clock.now() - this.#begunAt < staleAfterMs) return;
    const options: StaleAlertOptions = {
      completedAt: async () => completedAt,
      memory: { alertedAt: (name) => this.#lastAlert(name), recordAlert: (name, at) => this.#recordAlert(name, at) },
      staleAfterMs,
      clock,
      post: (alert) => this.#post(alert),
    };
    const { outcome } = await checkStaleAlert({ ...options, mode: "simulate" });
    if (outcome === "simulated") await this.#alone(() => checkStaleAlert(options));
  }

  /**
   * One process of the fleet at a time: sending may take seconds, in which the others would find that nobody has told it yet. Who finds it
   * taken leaves it to the holder, and looks again with the next check.
   */
  async #alone(send: () => Promise<unknown>): Promise<void> {
    const { store, clock } = this.#options;
    if (this.#isStoreAway) return void (await send());
    let hasBegun = false;
    const work = (): Promise<unknown> => {
      hasBegun = true;
      return send();
    };
    // Nobody knows who holds it: twice told is better than not at all.
    const sent = store.withLock("stale-alert", work).catch(() => (hasBegun ? undefined : work()));
    await withPatience("the catalog's store", sent, LOCK_PATIENCE_MS, clock).catch(() => {});
  }

  async #lastCompletion(): Promise<number | undefined> {
    const { store } = this.#options;
    try {
      const { completedAt } = await this.#ask(() => store.pulse());
      this.#completedAt = readInstant(completedAt);
    } catch {
      this.#isStoreAway = true;
    }
    return this.#completedAt;
  }

  async #lastAlert(name: string): Promise<number | undefined> {
    const { store } = this.#options;
    if (this.#isStoreAway) return this.#alertedAt;
    try {
      const stored = await this.#ask(() => store.alertedAt(name));
      // An alert sent while the store was away is known here alone.
      return Math.max(stored ?? 0, this.#alertedAt ?? 0) || undefined;
    } catch {
      this.#isStoreAway = true;
      return this.#alertedAt;
    }
  }

  async #recordAlert(name: string, at: number): Promise<void> {
    const { store } = this.#options;
    this.#alertedAt = at;
    if (!this.#isStoreAway) await this.#ask(() => store.recordAlert(name, at));
  }

  #post(alert: StaleAlert): Promise<boolean> {
    const { post, clock } = this.#options;
    const away = " The catalog's store does not answer: this is what this process knows.";
    const told = this.#isStoreAway ? { ...alert, message: alert.message + away } : alert;
    return withPatience("the stale alert", post(told, this.#isStoreAway), POST_PATIENCE_MS, clock);
  }

  /** `async`, so that a store that throws at once is one that is away, too. */
  async #ask<T>(question: () => Promise<T>): Promise<T> {
    return withPatience("the catalog's store", question(), STORE_PATIENCE_MS, this.#options.clock);
  }
}
