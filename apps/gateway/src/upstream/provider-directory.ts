import { type InvalidationBus, type InvalidationResult, type LoadContext, type MaybePromise, TieredCache } from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";
import { z } from "zod";
import type { Settings } from "../config/schema.ts";
import { authModeOf } from "../security/authenticator.ts";
import { SealError, type Sealer } from "../security/sealer.ts";
import { Secret } from "../security/secret.ts";
import type { GatewayStore, StoredProvider } from "../storage/gateway-store.ts";
import type { Log } from "../telemetry/log.ts";
import { type OperatorProviders, operatorProviders } from "./operator-providers.ts";
import { lowerCased, type Provider } from "./provider.ts";
import { openSecrets, type ProviderSecrets, secretsToText, slotOf } from "./provider-secrets.ts";
import { ProviderTable, type RoutingSettings } from "./provider-table.ts";
import { refusingUpstream } from "./refusing-upstream.ts";
import { salvageSettings } from "./salvage-settings.ts";
import type { Upstream } from "./upstream.ts";

/** Settings of a provider saved through the admin API, as they are stored. */
export const storedSettingsSchema = z.object({
  displayName: z.string().default(""),
  baseUrl: z.string(),
  kind: z.enum(["openai", "anthropic"]).default("openai"),
  models: z.array(z.string()).default([]),
  passthrough: z.enum(["callers-key", "own-key"]).optional(),
  /** Of before values were sealed; those saved since have their names in `headerNames`. */
  headers: z.record(z.string(), z.string()).default({}),
  headerNames: z.array(z.string()).default([]),
  /** Absent in what was saved before headers were sealed: then what is sealed is the key. */
  hasApiKey: z.boolean().optional(),
});

/** What a provider directory works with. */
export interface ProviderDirectoryOptions {
  readonly settings: Settings;
  readonly store: GatewayStore;
  readonly sealer: Sealer;
  readonly bus: InvalidationBus | undefined;
  /** Speaks to providers of the operator's own configuration. */
  readonly trusted: Upstream;
  /** Speaks to providers saved through the admin API: looks at every address. */
  readonly guarded: Upstream;
  readonly log: Log;
}

const SEALED = refusingUpstream("The provider's stored credential does not open with this gateway's master key.");
const UNREADABLE = refusingUpstream("The provider's stored settings cannot be read by this gateway.");
const ALL = "all";
/** Milliseconds after which providers are read again that could not be read. */
const RETRY_AFTER_MS = 2_000;
/** Milliseconds that a request waits for a database that says nothing, where providers are known. */
const READ_PATIENCE_MS = 250;
/** Milliseconds for which providers are known: past that, a request waits until the database answers or is given up. */
const KNOWN_FOR_MS = 24 * 3_600_000;

/**
 * The providers of this gateway: those of the environment and the file, and those in the database, whose credentials are held unsealed
 * in a coherent cache. A save is live here at once and on peers within one delivery; without a bus, within
 * `LARDER_PROVIDER_CONFIG_TTL_MS`. While the database is away the last known providers go on being used.
 */
export class ProviderDirectory {
  readonly #options: ProviderDirectoryOptions;
  readonly #cache: TieredCache<ProviderTable>;
  readonly #routing: RoutingSettings;
  readonly #ofOperator: OperatorProviders;
  /** What was read last, and what was changed here since: in use while the database is away. */
  #stored: readonly StoredProvider[] = [];
  #lastKnown: ProviderTable | undefined;
  /** Changes made here: what was asked for before one tells nothing of it. */
  #changes = 0;

  constructor(options: ProviderDirectoryOptions) {
    const { settings, bus } = options;
    this.#options = options;
    this.#routing = { aliases: settings.aliases, routes: settings.routes, isPassthrough: authModeOf(settings) === "passthrough" };
    this.#ofOperator = operatorProviders(settings, options.trusted);
    this.#cache = new TieredCache<ProviderTable>({
      l1: new MemoryCache({ maxEntries: 4, name: "providers" }),
      namespace: "providers",
      ttlMs: settings.providerConfigTtlMs,
      jitter: 0,
      softTimeoutMs: READ_PATIENCE_MS,
      staleIfErrorMs: KNOWN_FOR_MS,
      ...(bus ? { bus } : {}),
    });
  }

  /** The providers of now. At once, unless they must be read anew. */
  table(): MaybePromise<ProviderTable> {
    return this.#cache.getOrSet(ALL, (context) => this.#load(context)) as MaybePromise<ProviderTable>;
  }

  /**
   * Makes a change in the database visible here at once, and on peers by the bus. @param saved what the provider is now, `undefined` when it was
   * removed: known here from now on, although the database were gone before it is read again
   */
  changed(id: string, saved: StoredProvider | undefined): Promise<InvalidationResult> {
    this.#changes += 1;
    this.#stored = [...this.#stored.filter((row) => row.id !== id), ...(saved ? [saved] : [])];
    this.#lastKnown = undefined;
    return this.invalidate();
  }

  /** Makes what may have changed be read anew, here and on peers. */
  invalidate(): Promise<InvalidationResult> {
    return this.#cache.invalidate(ALL);
  }

  close(): Promise<void> {
    return this.#cache.close();
  }

  async #load(context: LoadContext<ProviderTable>): Promise<ProviderTable> {
    const changes = this.#changes;
    let stored: StoredProvider[];
    try {
      stored = await this.#options.store.listProviders();
    } catch {
      context.setOptions({ ttlMs: Math.min(RETRY_AFTER_MS, this.#options.settings.providerConfigTtlMs) });
      this.#lastKnown ??= this.#tableOf(this.#stored);
      return this.#lastKnown;
    }
    const table = this.#tableOf(stored);
    if (changes === this.#changes) {
      this.#stored = stored;
      this.#lastKnown = table;
    }
    return table;
  }

  #tableOf(stored: readonly StoredProvider[]): ProviderTable {
    const { providers, fallback, anthropic } = this.#ofOperator;
    return new ProviderTable(this.#routing, [...providers, ...stored.map((row) => this.#open(row))], fallback, anthropic);
  }

  /**
   * Seals a credential anew that an older master key has sealed, behind the requests. Does nothing when it was saved meanwhile; when it fails it
   * comes again with the next load. While a fleet rotates, a process with the former key turns it back, until there is none any more.
   */
  async #reseal(id: string, envelope: string, secrets: ProviderSecrets): Promise<void> {
    const { store, sealer, log } = this.#options;
    try {
      if (await store.resealProvider(id, envelope, sealer.seal(secretsToText(secrets) ?? "", slotOf(id))))
        log.info({ providerId: id }, "a credential was sealed anew with the master key of now");
    } catch {}
  }

  #open(row: StoredProvider): Provider {
    const { guarded, settings, log } = this.#options;
    const common = { id: row.id, timeoutMs: settings.upstreamTimeout, source: "database", savedAt: row.updatedAt } as const;
    try {
      const parsed = storedSettingsSchema.parse(JSON.parse(row.settings));
      const secrets = this.#openSecrets(row);
      const { displayName, baseUrl, kind, models, passthrough } = parsed;
      const apiKey = secrets?.apiKey === undefined ? undefined : new Secret(secrets.apiKey);
      const headers = lowerCased({ ...parsed.headers, ...secrets?.headers });
      const told = { displayName, baseUrl, kind, models, passthrough };
      return { ...common, ...told, apiKey, headers, upstream: secrets ? guarded : SEALED, isSealed: !secrets };
    } catch {
      log.error({ providerId: row.id }, "a stored provider cannot be used: its stored settings cannot be read");
      const { passthrough, ...told } = salvageSettings(row.settings);
      return { ...common, ...told, passthrough, kind: "openai", apiKey: undefined, headers: {}, upstream: UNREADABLE, isUnreadable: true };
    }
  }

  /** `undefined` when they do not open: nothing older is used in their place, and no other provider. */
  #openSecrets(row: StoredProvider): ProviderSecrets | undefined {
    const { sealer, log } = this.#options;
    try {
      const secrets = openSecrets(sealer, row.id, row.sealedKey);
      if (row.sealedKey !== null && sealer.isOutdated(row.sealedKey)) void this.#reseal(row.id, row.sealedKey, secrets);
      return secrets;
    } catch (error) {
      const problem = error instanceof SealError ? error.message : "The sealed credential cannot be read.";
      log.error({ providerId: row.id }, `a stored provider cannot be used: ${problem}`);
      return undefined;
    }
  }
}
