import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CacheError } from "@larder/cache-core";
import {
  acceptQuarantined,
  type Catalog,
  type CatalogView,
  createCatalog,
  createSyncScheduler,
  createVersionPublisher,
  type Mirror,
  type SnapshotStore,
  type Source,
  type SyncEvent,
  type SyncScheduler,
  type SyncStatus,
  type VersionPublisher,
} from "@larder/provider-sync";
import type { SyncControl } from "../admin/admin-parts.ts";
import { SettingsError } from "../config/read-settings.ts";
import type { Settings } from "../config/schema.ts";
import type { ModelCatalog } from "../endpoints/models-endpoint.ts";
import type { PriceBook } from "../gateway-parts.ts";
import type { SharedTier } from "../shared-tier.ts";
import { sqlitePath } from "../storage/sql.ts";
import type { Log } from "../telemetry/log.ts";
import { createCatalogPrices } from "./catalog-prices.ts";
import { isSyncOn } from "./is-sync-on.ts";
import { LateStore } from "./late-store.ts";
import { listCatalog } from "./list-catalog.ts";
import { logSync } from "./log-sync.ts";
import { openSources } from "./sources.ts";

/** Provider sync as the gateway uses it. */
export interface RunningSync {
  readonly catalog: ModelCatalog;
  readonly prices: PriceBook;
  /** `undefined` while sync is off. */
  readonly control: SyncControl | undefined;
  close(): Promise<void>;
}

/** What sync is started with. */
export interface StartSyncOptions {
  readonly settings: Settings;
  readonly directory: string;
  readonly shared: SharedTier;
  readonly log: Log;
}

/** A gateway without a catalog: nothing is listed beside the upstreams' own models, and what hits save is not told in dollars. */
const OFF: RunningSync = { catalog: { models: () => [] }, prices: { costOf: () => 0 }, control: undefined, close: async () => {} };

/** Milliseconds that an administrator's request waits for a store that is just being opened. */
const OPEN_PATIENCE_MS = 4_000;

/** Milliseconds that whoever looks at the state of sync waits for what the store knows of it. */
const STATUS_PATIENCE_MS = 1_000;

/** Milliseconds without a complete run after which the catalog is called stale, unless runs are as rare as that. */
const STALE_AFTER_MS = 3_600_000;

/** Rarer runs leave it as it is for longer: it is stale when one of them is missing. */
const staleAfterMs = ({ syncInterval }: Settings): number => Math.max(STALE_AFTER_MS, 2 * syncInterval);

/** Starts provider sync unless it is off. */
export async function startSync(options: StartSyncOptions): Promise<RunningSync> {
  const { settings, shared } = options;
  if (!isSyncOn(settings)) return OFF;
  const sources = openSources(settings.syncSources);
  if (sources.length === 0) throw new SettingsError(["LARDER_SYNC_SOURCES names no source"]);
  return new GatewaySync(options, sources, await shared.openMirror?.());
}

/** What runs once the store is open. */
interface Started {
  readonly scheduler: SyncScheduler;
  readonly store: SnapshotStore;
}

/** Sync with the catalog that it fills. It begins when its store is open, which may be long after the gateway. */
class GatewaySync implements RunningSync {
  readonly catalog: ModelCatalog;
  readonly prices: PriceBook;
  readonly control: SyncControl;
  readonly #catalog: Catalog;
  readonly #store: LateStore;
  readonly #mirror: Mirror | undefined;
  readonly #publisher: VersionPublisher | undefined;
  readonly #started: Promise<Started | undefined>;
  /** `undefined` until the store is open. */
  #current: Started | undefined;
  #isClosed = false;

  constructor(options: StartSyncOptions, sources: readonly Source[], mirror: Mirror | undefined) {
    const { settings, log, shared } = options;
    const { bus } = shared;
    this.#mirror = mirror;
    this.#publisher = bus && createVersionPublisher(bus);
    this.#store = new LateStore({ open: () => openStore(options), onFailure: tellOnce(log) });
    const readers = [...(mirror ? [mirror] : []), this.#store.reader];
    this.#catalog = createCatalog({ readers, staleAfterMs: staleAfterMs(settings), ...(bus ? { bus } : {}) });
    this.catalog = { models: () => listCatalog(this.#catalog.view) };
    this.prices = createCatalogPrices(this.#catalog);
    this.control = this.#createControl();
    this.#started = this.#store.opened.then((store) => store && this.#start(options, sources, store));
    // Told here, and to whoever asks for the scheduler.
    this.#started.catch((error: unknown) => log.error({ error }, "provider sync cannot be started"));
  }

  async close(): Promise<void> {
    // A store that opens from now on starts nothing any more.
    this.#isClosed = true;
    await this.#current?.scheduler.close();
    this.#publisher?.close();
    this.#catalog.close();
    await Promise.allSettled([this.#mirror?.close(), this.#store.close()]);
  }

  #start({ settings, log }: StartSyncOptions, sources: readonly Source[], store: SnapshotStore): Started | undefined {
    if (this.#isClosed) return undefined;
    const onEvent = (event: SyncEvent): void => logSync(log, event);
    const times = { intervalMs: settings.syncInterval, staleAfterMs: staleAfterMs(settings) };
    const scheduler = createSyncScheduler({ sources, store, ...times, ...this.#audience(), onEvent });
    this.#current = { scheduler, store };
    scheduler.start();
    return this.#current;
  }

  /** Who is told of a new version. */
  #audience(): { readonly mirror?: Mirror; readonly publisher: VersionPublisher | Catalog } {
    return { ...(this.#mirror ? { mirror: this.#mirror } : {}), publisher: this.#publisher ?? this.#catalog };
  }

  /** For whoever asks by hand. @throws when the store does not open in time */
  async #running(): Promise<Started> {
    const there = await Promise.race([this.#started, sleep(OPEN_PATIENCE_MS, undefined, { ref: false })]);
    if (!there) throw new Error("the database of record is not available");
    return there;
  }

  /** What is in the catalog: before the first look at the store has ended, nothing would be told for what there is. */
  async #lookedAt(): Promise<CatalogView> {
    const catalog = this.#catalog;
    if (catalog.version === 0) await Promise.race([catalog.refresh(), sleep(OPEN_PATIENCE_MS, undefined, { ref: false })]);
    return catalog.view;
  }

  /** With the fleet's last run, whichever process has made it, and before a restart of this one. What is known here, where the store does not tell in time. */
  async #status(): Promise<SyncStatus | undefined> {
    if (!this.#current) return undefined;
    const { scheduler, store } = this.#current;
    const asked = store.runs(1).catch(() => []);
    const [last] = (await Promise.race([asked, sleep(STATUS_PATIENCE_MS, undefined, { ref: false })])) ?? [];
    const status = scheduler.status();
    const { lastReport: own } = status;
    return last && (own === undefined || own.startedAt <= last.startedAt) ? { ...status, lastReport: last } : status;
  }

  #createControl(): SyncControl {
    const catalog = this.#catalog;
    return {
      status: async () => ({ isEnabled: true, ...(await this.#status()), catalog: catalog.stats() }),
      run: async () => {
        const report = await (await this.#running()).scheduler.runNow();
        await catalog.refresh();
        if (report === "held") return { outcome: "held" };
        return { ...report, changes: report.changes.length };
      },
      quarantine: async () => (await (await this.#running()).store.state()).content.quarantine,
      accept: async (keys) => {
        const { store } = await this.#running();
        const { version, modelCount } = await acceptQuarantined(keys, { store, ...this.#audience() });
        await catalog.refresh();
        return { version, models: modelCount };
      },
      providers: async () => (await this.#lookedAt()).providers,
      catalogModels: async () => (await this.#lookedAt()).models,
    };
  }
}

/** Says once why the store cannot be opened, and again when the reason changes: attempts follow every few seconds. */
function tellOnce(log: Log): (error: unknown) => void {
  let told: string | undefined;
  return (error) => {
    // Another error's message may quote an address with its password.
    const reason = CacheError.is(error) ? error.message : "unknown error";
    if (reason !== told) log.warn({ reason }, "the provider catalog's store cannot be opened; it is tried again");
    told = reason;
  };
}

async function openStore({ settings, directory }: StartSyncOptions): Promise<SnapshotStore> {
  if (!settings.databaseUrl.startsWith("file:")) {
    const { createPostgresStore } = await import("@larder/provider-sync/postgres");
    return createPostgresStore({ url: settings.databaseUrl });
  }
  const { createSqliteStore } = await import("@larder/provider-sync/sqlite");
  const path = sqlitePath(settings.databaseUrl, directory);
  if (path !== ":memory:") mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  return createSqliteStore({ path });
}
