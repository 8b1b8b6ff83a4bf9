import {
  Budget,
  CacheError,
  type Clock,
  checkDurationMs,
  checkOptions,
  type InvalidationBus,
  type InvalidationChannel,
  type InvalidationListener,
  type OptionNames,
  systemClock,
} from "@larder/cache-core";
import { CatalogView, type CatalogViewOptions, type ModelPrice } from "./catalog-view.ts";
import { latestPlausible } from "./latest-plausible.ts";
import type { CatalogModel } from "./merge-layers.ts";
import { catalogKey, catalogNamespace, type VersionPublisher } from "./publish-version.ts";
import { emptyContent, type Snapshot } from "./snapshot.ts";
import type { CurrentHead, SnapshotReader } from "./snapshot-store.ts";

/**
 * The reader of the catalog: one process's last known good version, in memory.
 *
 * - Lookups never wait and never fail: they ask the view held. A read that fails, from whatever reader, changes nothing; the view ages
 *   and says so. The reference system's index became EMPTY on a failed read, and then every model was valid (seeds W4.7).
 * - A new version is indexed in slices between which the process serves on, then put in place by one assignment. Who takes `view` once
 *   sees one version in everything that follows.
 * - One refresh at a time; who asks meanwhile shares it, unless news came after it began: then one more follows, since the running one
 *   may have read before the commit. After a failure the next look is delayed, so that a dead reader is not asked by every call (W4.6).
 * - A version older than the one held is not taken: a mirror that lags must not undo what the store said. A lineage that is greater is
 *   taken whatever its version, since it is a later store. A store that was restored from a backup counts on from an older version: it is
 *   followed once it has been confirmed later than the version held by `staleAfterMs`.
 */
export interface CatalogOptions extends CatalogViewOptions {
  /** Asked in this order; the newest version counts. A mirror first spares the store, and the store makes up for a mirror that is away. At least one. */
  readonly readers: readonly SnapshotReader[];
  /** Hears of new versions at once. @default none: only by looking */
  readonly bus?: InvalidationBus;
  /** Milliseconds > 0 between looks for a new version; one cheap query each. `Infinity` = only when told. @default 60000 */
  readonly refreshIntervalMs?: number;
  /** Milliseconds > 0 since the last confirmation after which the catalog says that it is stale. It is served all the same. @default 3600000 */
  readonly staleAfterMs?: number;
  /** Milliseconds > 0 that one refresh may take. @default 10000 */
  readonly timeoutMs?: number;
  /** @default the machine's */
  readonly clock?: Clock;
}

const OPTIONS: OptionNames<CatalogOptions> = {
  readers: true,
  bus: true,
  refreshIntervalMs: true,
  staleAfterMs: true,
  timeoutMs: true,
  clock: true,
  preferredProviders: true,
  virtualProviders: true,
};

/** State and counters of a catalog: a snapshot. */
export interface CatalogStats {
  readonly version: number;
  readonly models: number;
  readonly providers: number;
  /** Milliseconds since a sync last confirmed or changed this version; `undefined` before the first. */
  readonly ageMs: number | undefined;
  readonly isStale: boolean;
  /** Looks for a new version, and how many of them failed with every reader. */
  readonly refreshes: number;
  readonly refreshErrors: number;
  /** Readers that failed or were behind, with another one answering instead. */
  readonly fallbacks: number;
  /** Versions taken. */
  readonly updates: number;
}

const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 30_000;

/** See `CatalogOptions`. Made by `createCatalog`. */
export class Catalog implements VersionPublisher {
  readonly #readers: readonly SnapshotReader[];
  readonly #viewOptions: CatalogViewOptions;
  readonly #clock: Clock;
  readonly #refreshIntervalMs: number;
  readonly #staleAfterMs: number;
  readonly #timeoutMs: number;
  readonly #channel: InvalidationChannel | undefined;
  readonly #firstView: Promise<void>;
  #resolveFirstView: () => void = () => {};
  #view: CatalogView;
  #head: CurrentHead | undefined;
  #refreshing: Promise<boolean> | undefined;
  /** Grows with every piece of news; a refresh that began before the last one must be followed by another. */
  #news = 0;
  #settledNews = 0;
  #failures = 0;
  #cancelTimer: () => void = () => {};
  #isClosed = false;
  readonly #counters = { refreshes: 0, refreshErrors: 0, fallbacks: 0, updates: 0 };

  constructor(options: CatalogOptions) {
    checkOptions(options, OPTIONS);
    const { readers, bus, clock = systemClock } = options;
    if (readers.length === 0) throw new CacheError("ERR_CACHE_INVALID_OPTION", "readers must name at least one store or mirror, got none");
    this.#readers = readers;
    this.#viewOptions = options;
    this.#clock = clock;
    this.#refreshIntervalMs = checkDurationMs("refreshIntervalMs", options.refreshIntervalMs ?? 60_000);
    this.#staleAfterMs = checkDurationMs("staleAfterMs", options.staleAfterMs ?? 3_600_000);
    this.#timeoutMs = checkDurationMs("timeoutMs", options.timeoutMs ?? 10_000);
    this.#view = new CatalogView(0, emptyContent, options);
    this.#firstView = new Promise((resolve) => {
      this.#resolveFirstView = resolve;
    });
    this.#channel = bus?.join(catalogNamespace, this.#listener());
    void this.refresh();
  }

  /** The version held, whole. Before the first version: an empty view of version 0. */
  get view(): CatalogView {
    return this.#view;
  }

  /** The version held; 0 before the first. */
  get version(): number {
    return this.#view.version;
  }

  /** Milliseconds since a sync last confirmed this version, by the wall clock of the machine that synced; `undefined` before the first. */
  get ageMs(): number | undefined {
    return this.#head && Math.max(0, this.#clock.wallNow() - this.#head.checkedAt);
  }

  /** Whether that is longer than `staleAfterMs`, or there is no version yet; a confirmation so long ahead of the clock is none either. */
  get isStale(): boolean {
    return this.#head === undefined || Math.abs(this.#clock.wallNow() - this.#head.checkedAt) > this.#staleAfterMs;
  }

  /**
   * Resolves when there is a first version. It never rejects, nor keeps the process alive: a gateway starts without a catalog and gets it when there
   * is one.
   */
  ready(): Promise<void> {
    return this.#firstView;
  }

  /** A model by id; see `CatalogView.model`. */
  model(id: string): CatalogModel | undefined {
    return this.#view.model(id);
  }

  /** A model by name; see `CatalogView.find`. */
  find(name: string, provider?: string): CatalogModel | undefined {
    return this.#view.find(name, provider);
  }

  /** A price by name; see `CatalogView.price`. */
  price(name: string, provider?: string): ModelPrice | undefined {
    return this.#view.price(name, provider);
  }

  /** Looks for a new version now. Never rejects. @returns whether a reader answered */
  refresh(): Promise<boolean> {
    if (this.#isClosed) return Promise.resolve(false);
    this.#refreshing ??= this.#refreshUntilSettled().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** Takes a version that this process has committed, and tells the other processes. Rejects when nobody knows whether they heard. */
  async publish(_version: number): Promise<void> {
    this.#news += 1;
    await this.refresh();
    await this.#channel?.invalidate({ kind: "key", key: catalogKey }, { budget: new Budget(1000, this.#clock) });
  }

  /** State and counters; a snapshot. */
  stats(): CatalogStats {
    const { models, providers } = this.#view;
    return {
      version: this.version,
      models: models.length,
      providers: providers.length,
      ageMs: this.ageMs,
      isStale: this.isStale,
      ...this.#counters,
    };
  }

  /** Stops looking and leaves the bus. The view stays readable. Calling it again is fine. */
  close(): void {
    this.#isClosed = true;
    this.#cancelTimer();
    this.#channel?.leave();
  }

  #listener(): InvalidationListener {
    const onNews = (): void => {
      this.#news += 1;
      void this.refresh();
    };
    // The view is not dropped: an old catalog is better than none, and its age is told.
    return { onInvalidation: onNews, onReset: onNews, onProof: () => {} };
  }

  async #refreshUntilSettled(): Promise<boolean> {
    this.#cancelTimer();
    let isAnswered = false;
    let seen: number;
    do {
      seen = this.#news;
      isAnswered = await this.#refreshOnce();
    } while (isAnswered && seen !== this.#news && !this.#isClosed);
    if (isAnswered) this.#settledNews = seen;
    this.#failures = isAnswered ? 0 : this.#failures + 1;
    this.#scheduleNext();
    return isAnswered;
  }

  #scheduleNext(): void {
    if (this.#isClosed) return;
    const retryMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(10, this.#failures - 1));
    const delayMs = this.#failures > 0 ? Math.min(retryMs, this.#refreshIntervalMs) : this.#refreshIntervalMs;
    if (Number.isFinite(delayMs)) this.#cancelTimer = this.#clock.setTimer(() => void this.refresh(), delayMs);
  }

  /**
   * Asks the readers in order until one tells something new. A mirror that stands still looks just like a catalog that does not change, so
   * a reader that only repeats what is known does not spare the next one; after news all are asked, since the first may lag.
   */
  async #refreshOnce(): Promise<boolean> {
    this.#counters.refreshes += 1;
    const hasNews = this.#news !== this.#settledNews;
    let isAnswered = false;
    for (const [index, reader] of this.#readers.entries()) {
      const isLast = index === this.#readers.length - 1;
      const { version, head } = { version: this.version, head: this.#head };
      try {
        const isCurrent = await this.#withTimeout(this.#takeFrom(reader));
        isAnswered = true;
        const isNewer = this.version !== version || this.#head?.checkedAt !== head?.checkedAt;
        if (isCurrent && isNewer && !hasNews) return true;
        if (!isCurrent && !isLast) this.#counters.fallbacks += 1;
      } catch {
        // Told by the counters and the age; the next reader may know.
        if (!isLast) this.#counters.fallbacks += 1;
      }
    }
    if (!isAnswered) this.#counters.refreshErrors += 1;
    return isAnswered;
  }

  /** @returns whether the reader is at the version held, or brought a newer one */
  async #takeFrom(reader: SnapshotReader): Promise<boolean> {
    const head = await reader.head();
    if (!head) return false;
    const order = this.#compare(head);
    if (order === 0 && this.#head) {
      const instants = [head.checkedAt, this.#head.checkedAt];
      this.#head = { ...this.#head, checkedAt: latestPlausible(instants, this.#clock.wallNow(), this.#staleAfterMs) };
      return true;
    }
    if (order < 0) return false;
    const snapshot = await reader.latest();
    // Damaged newest version: the store answers with an older one, which may be the one held.
    if (!snapshot || this.#compare(snapshot) <= 0) return snapshot !== undefined && this.#compare(snapshot) === 0;
    return this.#take(snapshot);
  }

  /**
   * Indexes a new version beside the one held, in slices, and puts it in its place whole.
   * @returns whether the version held is now that one: a later look that overtook this one may have brought a newer
   */
  async #take(snapshot: Snapshot & CurrentHead): Promise<boolean> {
    const { content, ...head } = snapshot;
    const view = await CatalogView.build(head.version, content, this.#viewOptions);
    const order = this.#compare(head);
    if (order <= 0) return order === 0;
    this.#view = view;
    this.#head = head;
    this.#counters.updates += 1;
    this.#resolveFirstView();
    return true;
  }

  /** Positive for what is later than the version held. */
  #compare(head: CurrentHead): number {
    const held = this.#head;
    if (!held) return 1;
    if (head.lineage !== held.lineage) return head.lineage > held.lineage ? 1 : -1;
    const laterMs = head.checkedAt - held.checkedAt;
    const isToBeTrusted = Math.max(head.checkedAt, held.checkedAt) - this.#clock.wallNow() < this.#staleAfterMs;
    // Nothing but a store from a backup goes on confirming an older version when a newer one has not been confirmed for so long.
    if (head.version !== held.version && isToBeTrusted && Math.abs(laterMs) > this.#staleAfterMs) return laterMs;
    return head.version - held.version;
  }

  /** A reader that hangs must not stop all later looks; its late answer is dropped by the comparison of versions. */
  #withTimeout<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const onTimeout = (): void => reject(new CacheError("ERR_CACHE_TIMEOUT", "a reader of the catalog did not answer"));
      const cancel = this.#clock.setTimer(onTimeout, this.#timeoutMs);
      work.then(resolve, reject).finally(cancel);
    });
  }
}

/** A catalog that reads what a sync stores. It begins to look at once. @throws {CacheError} ERR_CACHE_INVALID_OPTION */
export function createCatalog(options: CatalogOptions): Catalog {
  return new Catalog(options);
}
