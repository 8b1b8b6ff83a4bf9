import { CacheError, type Clock, checkDurationMs, checkShare, type RandomSource, systemClock, systemRandom } from "@larder/cache-core";
import type { RunReport } from "./run-report.ts";
import type { RunnerLock } from "./runner-lock.ts";
import { checkStaleAlert, type StaleAlert } from "./stale-alert.ts";
import { type SyncOptions, syncOnce } from "./sync.ts";
import { tell } from "./sync-events.ts";

/** When a sync runs, and who runs it. */
export interface SyncSchedulerOptions extends Omit<SyncOptions, "signal" | "dryRun"> {
  /** Milliseconds > 0 between runs. Upstreams answer from caches of five minutes: below that, runs see the same bodies. @default 600000 */
  readonly intervalMs?: number;
  /** Share from 0 to 1 of the interval by which each wait is varied, so that a fleet does not ask in step. @default 0.1 */
  readonly jitter?: number;
  /** Elects one runner in the fleet. @default the store */
  readonly lock?: RunnerLock;
  /** Milliseconds > 0 without a complete run from which the catalog is called stale. @default 3600000 */
  readonly staleAfterMs?: number;
  /** Sends the stale alert elsewhere as well as in the event `catalog-stale`; `false` or a rejection = not sent, tried again. @default the event alone */
  readonly postStaleAlert?: (alert: StaleAlert) => Promise<boolean>;
}

/** What a scheduler is doing. */
export interface SyncStatus {
  readonly isRunning: boolean;
  /** The last run of this process; `undefined` before the first. */
  readonly lastReport: RunReport | undefined;
  /** Epoch milliseconds of the next planned run; `undefined` while none is planned. */
  readonly nextRunAt: number | undefined;
}

/** A run asked for by hand: its report, or `"held"` when another process of the fleet is at it. */
export type RunNowResult = RunReport | "held";

/** See `SyncSchedulerOptions`. Made by `createSyncScheduler`. */
export class SyncScheduler {
  readonly #options: SyncSchedulerOptions;
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #intervalMs: number;
  readonly #jitter: number;
  readonly #staleAfterMs: number;
  #running: Promise<RunNowResult> | undefined;
  #abort: AbortController = new AbortController();
  #lastReport: RunReport | undefined;
  #nextRunAt: number | undefined;
  #cancelTimer: () => void = () => {};
  #isStarted = false;
  #isClosed = false;

  constructor(options: SyncSchedulerOptions) {
    const { clock = systemClock, random = systemRandom } = options;
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
    this.#intervalMs = checkDurationMs("intervalMs", options.intervalMs ?? 600_000);
    this.#jitter = checkShare("jitter", options.jitter ?? 0.1);
    this.#staleAfterMs = checkDurationMs("staleAfterMs", options.staleAfterMs ?? 3_600_000);
  }

  /** Runs at once, unless the fleet has run lately, and then at every interval. Calling it again is fine. */
  start(): void {
    if (this.#isStarted || this.#isClosed) return;
    this.#isStarted = true;
    void this.#tick();
  }

  /** Runs now, whatever the plan; joins the run that is under way in this process. @throws {CacheError} ERR_CACHE_CLOSED after close() */
  runNow(): Promise<RunNowResult> {
    if (this.#isClosed) return Promise.reject(new CacheError("ERR_CACHE_CLOSED", "the scheduler is closed"));
    return this.#run(false);
  }

  /** Cancels the run under way in this process; before its commit it then has changed nothing. The plan goes on. */
  cancel(): void {
    this.#abort.abort();
  }

  /** What is going on now. */
  status(): SyncStatus {
    return { isRunning: this.#running !== undefined, lastReport: this.#lastReport, nextRunAt: this.#nextRunAt };
  }

  /** Stops planning, cancels the run under way and waits for its end. Calling it again is fine. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#nextRunAt = undefined;
    this.#cancelTimer();
    this.cancel();
    await this.#running?.catch(() => {});
  }

  async #tick(): Promise<void> {
    await this.#run(true).catch(() => {});
    await this.#checkStale();
    if (this.#isClosed) return;
    const delayMs = this.#intervalMs * (1 + this.#jitter * (2 * this.#random.next() - 1));
    this.#nextRunAt = this.#clock.wallNow() + delayMs;
    this.#cancelTimer = this.#clock.setTimer(() => void this.#tick(), delayMs);
  }

  #run(isPlanned: boolean): Promise<RunNowResult> {
    this.#running ??= this.#runLocked(isPlanned).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #runLocked(isPlanned: boolean): Promise<RunNowResult> {
    const { store, lock = store, onEvent } = this.#options;
    this.#abort = new AbortController();
    let hasBegun = false;
    const work = async (lost?: AbortSignal): Promise<RunReport | "recent"> => {
      hasBegun = true;
      if (isPlanned && (await this.#hasFleetRun())) return "recent";
      return syncOnce({ ...this.#options, signal: lost ? AbortSignal.any([this.#abort.signal, lost]) : this.#abort.signal });
    };
    const result = await lock.withLock("provider-sync", work).catch((error: unknown) => {
      if (hasBegun) throw error;
      // Nobody knows who holds it: the commit keeps two runs apart, and a second one costs requests only.
      return work();
    });
    if (result === "held" || result === "recent") {
      tell(onEvent, { type: "run-skipped", reason: result });
      return "held";
    }
    this.#lastReport = result;
    return result;
  }

  /** Every process of a fleet keeps the plan; the one that comes first runs, and the others find its run. */
  async #hasFleetRun(): Promise<boolean> {
    const [last] = await this.#options.store.runs(1).catch(() => []);
    return last !== undefined && last.outcome !== "cancelled" && this.#clock.wallNow() - last.startedAt < this.#intervalMs / 2;
  }

  async #checkStale(): Promise<void> {
    const { store, postStaleAlert, onEvent } = this.#options;
    await checkStaleAlert({
      completedAt: async () => (await store.pulse()).completedAt,
      memory: store,
      staleAfterMs: this.#staleAfterMs,
      clock: this.#clock,
      post: async (alert) => {
        const isPosted = postStaleAlert === undefined || (await postStaleAlert(alert));
        if (isPosted) tell(onEvent, { type: "catalog-stale", completedAt: alert.completedAt, ageMs: alert.ageMs });
        return isPosted;
      },
    });
  }
}

/** A scheduler that has not started. @throws {CacheError} ERR_CACHE_INVALID_OPTION when an option is out of range */
export function createSyncScheduler(options: SyncSchedulerOptions): SyncScheduler {
  return new SyncScheduler(options);
}
