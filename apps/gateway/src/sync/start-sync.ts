import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { createCatalog, createSyncScheduler, createVersionPublisher, type SnapshotReader, type SnapshotStore } from "@larder/provider-sync";
import type { SyncControl } from "../admin/admin-parts.ts";
import { SettingsError } from "../config/read-settings.ts";
import type { Settings } from "../config/schema.ts";
import type { ModelCatalog } from "../endpoints/models-endpoint.ts";
import type { PriceBook } from "../gateway-parts.ts";
import type { SharedTier } from "../shared-tier.ts";
import { sqlitePath } from "../storage/sql.ts";
import type { Log } from "../telemetry/log.ts";
import { createCatalogPrices } from "./catalog-prices.ts";
import { listCatalog } from "./list-catalog.ts";
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

/** Milliseconds between attempts to open a store that is away. */
const REOPEN_AFTER_MS = 5_000;

/** Starts provider sync unless it is off: in sandbox mode it is, so that a first try makes no request to anyone. */
export async function startSync(options: StartSyncOptions): Promise<RunningSync> {
  const { settings, shared, log } = options;
  const isSandbox = settings.openaiBaseUrl === undefined && settings.openaiApiKey === undefined;
  if (settings.syncSources === undefined ? isSandbox : settings.syncSources[0] === "none") return OFF;
  const sources = openSources(settings.syncSources);
  if (sources.length === 0) throw new SettingsError(["LARDER_SYNC_SOURCES names no source"]);
  const store = new LateStore(() => openStore(options));
  const mirror = await shared.openMirror?.();
  const { bus } = shared;
  const publisher = bus && createVersionPublisher(bus);
  const catalog = createCatalog({ readers: [...(mirror ? [mirror] : []), store.reader], ...(bus ? { bus } : {}) });
  let closeRunning = async (): Promise<void> => {};
  let scheduler: ReturnType<typeof createSyncScheduler> | undefined;
  void store.opened.then((opened) => {
    const more = { ...(mirror ? { mirror } : {}), publisher: publisher ?? catalog };
    scheduler = createSyncScheduler({
      sources,
      store: opened,
      intervalMs: settings.syncInterval,
      ...more,
      onEvent: (event) => tell(log, event),
    });
    const running = scheduler;
    closeRunning = () => running.close();
    running.start();
  });
  const control: SyncControl = {
    status: async () => ({ isEnabled: true, ...scheduler?.status(), catalog: catalog.stats() }),
    run: async () => {
      await store.opened;
      const report = await scheduler?.runNow();
      await catalog.refresh();
      if (report === undefined || report === "held") return { outcome: "held" };
      return { ...report, changes: report.changes.length };
    },
    providers: () => catalog.view.providers,
    catalogModels: () => catalog.view.models,
  };
  return {
    catalog: { models: () => listCatalog(catalog.view) },
    prices: createCatalogPrices(catalog),
    control,
    close: async () => {
      await closeRunning();
      publisher?.close();
      catalog.close();
      await mirror?.close();
      await store.close();
    },
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

/** A store that may not be there when the gateway starts: opened behind, again and again. Readers fail meanwhile, which they may. */
class LateStore {
  readonly opened: Promise<SnapshotStore>;
  #store: SnapshotStore | undefined;
  #isClosed = false;

  constructor(open: () => Promise<SnapshotStore>) {
    this.opened = this.#openUntilThere(open);
  }

  get reader(): SnapshotReader {
    return { name: "store", head: async () => this.#there().head(), latest: async () => this.#there().latest() };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#store?.close();
  }

  #there(): SnapshotStore {
    if (!this.#store) throw new Error("the catalog's store is not open");
    return this.#store;
  }

  async #openUntilThere(open: () => Promise<SnapshotStore>): Promise<SnapshotStore> {
    for (;;) {
      try {
        this.#store = await open();
        if (this.#isClosed) await this.#store.close();
        return this.#store;
      } catch {
        await new Promise<void>((resolve) => setTimeout(resolve, REOPEN_AFTER_MS).unref());
      }
      if (this.#isClosed) return new Promise(() => {});
    }
  }
}

function tell(log: Log, event: { readonly type: string; readonly report?: unknown }): void {
  if (event.type === "run-finished") {
    const { outcome, models, version } = event.report as { outcome: string; models: number; version: number };
    log.info({ outcome, models, version }, "provider sync");
  } else if (event.type === "catalog-stale") log.warn("the provider catalog is stale: no complete sync for too long");
}
