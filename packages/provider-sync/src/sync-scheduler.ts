import {
  CacheError,
  type Clock,
  checkDurationMs,
  checkOptions,
  checkShare,
  type OptionNames,
  type RandomSource,
  systemClock,
  systemRandom,
} from "@larder/cache-core";
import type { RunReport } from "./run-report.ts";
import type { RunnerLock } from "./runner-lock.ts";
import type { StaleAlert } from "./stale-alert.ts";
import { StaleWatch } from "./stale-watch.ts";
import { checkSyncOptions, RUN_OPTIONS, type SyncOptions, syncOnce } from "./sync.ts";
import { tell } from "./sync-events.ts";
import { withPatience } from "./with-patience.ts";

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

const OPTIONS: OptionNames<SyncSchedulerOptions> = {
  ...RUN_OPTIONS,
  intervalMs: true,
  jitter: true,
  lock: true,
  staleAfterMs: true,
  postStaleAlert: true,
};

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

/** What became of a run: `"recent"` when a planned one found that the fleet has run lately, and read nothing. */
type RunResult = RunNowResult | "recent";

/** Milliseconds after which a run that has not ended makes the scheduler look whether the store is away. */
const LOOK_AFTER_MS = 5_000;
/** Milliseconds after which a run is tried again that found the lock held, since a holder that was killed keeps it for half a minute, or that left nothing to read. */
const LOOK_AGAIN_MS = 60_000;
/** Milliseconds beyond the time for reading after which a run is given up: guards, commit and mirror take seconds, or hang. */
const GIVE_UP_AFTER_MS = 60_000;
/** Milliseconds that `close()` waits for a cancelled run: one that hangs in a store must not hold up a process that ends. */
const CLOSE_PATIENCE_MS = 5_000;

function ignore(): void {}

/** Whether a run has left no catalog at all; one that never came to its sources does not tell. */
function isForNothing({ version, sources }: RunReport): boolean {
  return version === 0 && sources.length > 0;
}

/** See `SyncSchedulerOptions`. Made by `createSyncScheduler`. */
export class SyncScheduler {
  readonly #options: SyncSchedulerOptions;
  readonly #runOptions: Omit<SyncOptions, "signal" | "dryRun">;
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #intervalMs: number;
  readonly #jitter: number;
  readonly #giveUpAfterMs: number;
  readonly #watch: StaleWatch;
  #running: Promise<RunResult> | undefined;
  #abort: AbortController = new AbortController();
  #lastReport: RunReport | undefined;
  #nextRunAt: number | undefined;
  /** Runs in a row that were for nothing, as far as this process has made or found them. */
  #forNothing = 0;
  #cancelTimer: () => void = () => {};
  #isStarted = false;
  #isClosed = false;
  #closing: Promise<void> | undefined;

  constructor(options: SyncSchedulerOptions) {
    checkOptions(options, OPTIONS);
    const { clock = systemClock, random = systemRandom, store } = options;
    const { intervalMs = 600_000, jitter = 0.1, staleAfterMs = 3_600_000, lock, postStaleAlert, ...runOptions } = options;
    const { limits } = checkSyncOptions(options);
    this.#options = options;
    this.#runOptions = runOptions;
    this.#clock = clock;
    this.#random = random;
    this.#intervalMs = checkDurationMs("intervalMs", intervalMs);
    this.#jitter = checkShare("jitter", jitter);
    this.#giveUpAfterMs = limits.runTimeoutMs + GIVE_UP_AFTER_MS;
    checkDurationMs("staleAfterMs", staleAfterMs);
    this.#watch = new StaleWatch({ store, clock, staleAfterMs, post: (alert, isStoreAway) => this.#tellStale(alert, isStoreAway) });
  }

  /** Runs at once, unless the fleet has run lately, and then at every interval. Calling it again is fine. */
  start(): void {
    if (this.#isStarted || this.#isClosed) return;
    this.#isStarted = true;
    void this.#tick();
  }

  /**
   * Runs now, whatever the plan; joins the run that is under way in this process.
   * @throws {CacheError} ERR_CACHE_CLOSED after close(); ERR_CACHE_TIMEOUT for a run that has not ended a minute after its time for reading
   */
  async runNow(): Promise<RunNowResult> {
    for (;;) {
      if (this.#isClosed) throw new CacheError("ERR_CACHE_CLOSED", "the scheduler is closed");
      const result = await this.#run(false);
      // It had joined a planned run that was none: who asks for a run now is not answered by a former one.
      if (result !== "recent") return result;
    }
  }

  /** Cancels the run under way in this process; before its commit it then has changed nothing. The plan goes on. */
  cancel(): void {
    this.#abort.abort();
  }

  /** What is going on now. */
  status(): SyncStatus {
    return { isRunning: this.#running !== undefined, lastReport: this.#lastReport, nextRunAt: this.#nextRunAt };
  }

  /** Stops planning, cancels the run under way and waits for its end, 5 s at most. Calling it again is fine. */
  close(): Promise<void> {
    this.#isClosed = true;
    this.#nextRunAt = undefined;
    this.#cancelTimer();
    this.cancel();
    const running = this.#running?.then(ignore, ignore) ?? Promise.resolve();
    this.#closing ??= withPatience("the run", running, CLOSE_PATIENCE_MS, this.#clock).catch(ignore);
    return this.#closing;
  }

  async #tick(): Promise<void> {
    const isHeld = await this.#runOrGiveUp();
    if (this.#isClosed) return;
    await this.#watch.check();
    if (this.#isClosed) return;
    const intervalMs = isHeld ? Math.min(this.#intervalMs, LOOK_AGAIN_MS) : this.#waitMs();
    const delayMs = intervalMs * (1 + this.#jitter * (2 * this.#random.next() - 1));
    this.#nextRunAt = this.#clock.wallNow() + delayMs;
    this.#cancelTimer = this.#clock.setTimer(() => void this.#tick(), delayMs);
  }

  /**
   * A run that hangs holds up neither the alert nor the plan. Should it go on after all, its commit meets what came after it.
   * @returns whether another process held the lock
   */
  async #runOrGiveUp(): Promise<boolean> {
    let isHeld = false;
    const running = this.#run(true);
    const ended = running.then((result) => {
      isHeld = result === "held";
    }, ignore);
    const endsWithin = (timeoutMs: number): Promise<boolean> =>
      withPatience("the run", ended, timeoutMs, this.#clock).then(
        () => true,
        () => false,
      );
    if (await endsWithin(LOOK_AFTER_MS)) return isHeld;
    if (!this.#isClosed) await this.#watch.check(true);
    if (await endsWithin(this.#giveUpAfterMs)) return isHeld;
    this.cancel();
    if (this.#running === running) this.#running = undefined;
    return false;
  }

  #run(isPlanned: boolean): Promise<RunResult> {
    if (this.#running) return this.#running;
    const running: Promise<RunResult> = this.#runLocked(isPlanned).finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }

  async #runLocked(isPlanned: boolean): Promise<RunResult> {
    const { store, lock = store, onEvent } = this.#options;
    const abort = new AbortController();
    this.#abort = abort;
    let hasBegun = false;
    const readAndCommit = async (signal: AbortSignal): Promise<RunReport | "recent"> => {
      if (isPlanned && (await this.#hasFleetRun())) return "recent";
      return syncOnce({ ...this.#runOptions, signal });
    };
    // A mirror or publisher that hangs would hold the lock for as long, and every process of the fleet with it.
    const work = (lost?: AbortSignal): Promise<RunReport | "recent"> => {
      hasBegun = true;
      const run = readAndCommit(lost ? AbortSignal.any([abort.signal, lost]) : abort.signal);
      return withPatience("the run", run, this.#giveUpAfterMs, this.#clock).finally(() => abort.abort());
    };
    const result = await lock.withLock("provider-sync", work).catch((error: unknown) => {
      if (hasBegun) throw error;
      // Nobody knows who holds it: the commit keeps two runs apart, and a second one costs requests only.
      return work();
    });
    if (result === "held" || result === "recent") {
      tell(onEvent, { type: "run-skipped", reason: result });
      return result;
    }
    this.#lastReport = result;
    this.#forNothing = isForNothing(result) ? this.#forNothing + 1 : 0;
    if (result.isComplete) this.#watch.noteCompleted(result.finishedAt);
    return result;
  }

  /** From one run to the next: without a catalog a minute, and twice as long after each further run that was for nothing. */
  #waitMs(): number {
    return this.#forNothing === 0 ? this.#intervalMs : Math.min(this.#intervalMs, LOOK_AGAIN_MS * 2 ** (this.#forNothing - 1));
  }

  /** Every process of a fleet keeps the plan; the one that comes first runs, and the others find its run. */
  async #hasFleetRun(): Promise<boolean> {
    const { sources, store } = this.#options;
    const [last] = await store.runs(1).catch(() => []);
    this.#forNothing = last !== undefined && isForNothing(last) ? Math.max(1, this.#forNothing) : 0;
    // Some way ahead is skew between machines; a run further ahead was noted by a clock that was wrong, and proves nothing.
    const isRecent = last !== undefined && Math.abs(this.#clock.wallNow() - last.startedAt) < this.#waitMs() / 2;
    // Somebody may have run others over the same store, by hand or before the configuration changed.
    const isOfThese = (run: RunReport): boolean => sources.every(({ name }) => run.sources.some(({ source }) => source === name));
    return isRecent && last.outcome !== "cancelled" && isOfThese(last);
  }

  async #tellStale(alert: StaleAlert, isStoreAway: boolean): Promise<boolean> {
    const { postStaleAlert, onEvent } = this.#options;
    const isPosted = postStaleAlert === undefined || (await postStaleAlert(alert));
    const { completedAt, ageMs } = alert;
    if (isPosted) tell(onEvent, { type: "catalog-stale", completedAt, ageMs, isStoreAway });
    return isPosted;
  }
}

/** A scheduler that has not started. @throws {CacheError} ERR_CACHE_INVALID_OPTION when an option is out of range */
export function createSyncScheduler(options: SyncSchedulerOptions): SyncScheduler {
  return new SyncScheduler(options);
}
