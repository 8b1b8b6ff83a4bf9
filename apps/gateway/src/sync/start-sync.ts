import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CacheError } from "@larder/cache-core";
import {
  acceptQuarantined,
  createCatalog,
  createSyncScheduler,
  createVersionPublisher,
  type SnapshotStore,
  type SyncEvent,
  type SyncScheduler,
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

/** Starts provider sync unless it is off: in sandbox mode it is, so that a first try makes no request to anyone. */
export async function startSync(options: StartSyncOptions): Promise<RunningSync> {
  const { settings, shared, log } = options;
  const isSandbox = settings.openaiBaseUrl === undefined && settings.openaiApiKey === undefined;
  if (settings.syncSources === undefined ? isSandbox : settings.syncSources[0] === "none") return OFF;
  const sources = openSources(settings.syncSources);
  if (sources.length === 0) throw new SettingsError(["LARDER_SYNC_SOURCES names no source"]);
  const store = new LateStore({ open: () => openStore(options), onFailure: tellOnce(log) });
  const mirror = await shared.openMirror?.();
  const { bus } = shared;
  const publisher = bus && createVersionPublisher(bus);
  const catalog = createCatalog({ readers: [...(mirror ? [mirror] : []), store.reader], ...(bus ? { bus } : {}) });
  const more = { ...(mirror ? { mirror } : {}), publisher: publisher ?? catalog };
  let scheduler: SyncScheduler | undefined;
  let isClosed = false;
  const started = store.opened.then((opened) => {
    if (!opened || isClosed) return undefined;
    const onEvent = (event: SyncEvent): void => logSync(log, event);
    scheduler = createSyncScheduler({ sources, store: opened, intervalMs: settings.syncInterval, ...more, onEvent });
    scheduler.start();
    return { scheduler, store: opened };
  });
  // Told here, and to whoever asks for the scheduler.
  started.catch((error: unknown) => log.error({ error }, "provider sync cannot be started"));
  const running = async (): Promise<{ readonly scheduler: SyncScheduler; readonly store: SnapshotStore }> => {
    const there = await Promise.race([started, sleep(OPEN_PATIENCE_MS, undefined, { ref: false })]);
    if (!there) throw new Error("the database of record is not available");
    return there;
  };
  const control: SyncControl = {
    status: async () => ({ isEnabled: true, ...scheduler?.status(), catalog: catalog.stats() }),
    run: async () => {
      const report = await (await running()).scheduler.runNow();
      await catalog.refresh();
      if (report === "held") return { outcome: "held" };
      return { ...report, changes: report.changes.length };
    },
    quarantine: async () => (await (await running()).store.state()).content.quarantine,
    accept: async (keys) => {
      const { version, modelCount } = await acceptQuarantined(keys, { store: (await running()).store, ...more });
      await catalog.refresh();
      return { version, models: modelCount };
    },
    providers: () => catalog.view.providers,
    catalogModels: () => catalog.view.models,
  };
  return {
    catalog: { models: () => listCatalog(catalog.view) },
    prices: createCatalogPrices(catalog),
    control,
    close: async () => {
      // A store that opens from now on starts nothing any more.
      isClosed = true;
      await scheduler?.close();
      publisher?.close();
      catalog.close();
      await Promise.allSettled([mirror?.close(), store.close()]);
    },
  };
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
