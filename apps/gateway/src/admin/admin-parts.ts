import type { GatewayHealth } from "../gateway-health.ts";
import type { GatewayParts } from "../gateway-parts.ts";
import type { AddressGuard } from "../security/address-guard.ts";
import type { Authenticator } from "../security/authenticator.ts";
import type { Sealer } from "../security/sealer.ts";
import type { GatewayStore } from "../storage/gateway-store.ts";
import type { ProviderDirectory } from "../upstream/provider-directory.ts";
import type { Survey } from "../worker-survey.ts";

/** What provider sync shows of itself. */
export interface SyncControl {
  /** State, last run, quarantine; plain data. */
  status(): Promise<Readonly<Record<string, unknown>>>;
  /** Runs once now. */
  run(): Promise<Readonly<Record<string, unknown>>>;
  /** All that the guards hold back; plain data. */
  quarantine(): Promise<readonly unknown[]>;
  /** Believes what is held back under these keys. @throws {CacheError} ERR_CACHE_INVALID_REQUEST when one holds nothing acceptable */
  accept(keys: readonly string[]): Promise<Readonly<Record<string, unknown>>>;
  /** Providers of the catalog; plain data. */
  providers(): Promise<readonly unknown[]>;
  /** Models of the catalog, with prices; plain data. */
  catalogModels(): Promise<readonly unknown[]>;
}

/** What the administration works on. */
export interface AdminParts {
  readonly parts: GatewayParts;
  readonly store: GatewayStore;
  readonly sealer: Sealer;
  readonly guard: AddressGuard;
  readonly directory: ProviderDirectory;
  readonly authenticator: Authenticator;
  readonly sync: SyncControl | undefined;
  readonly adminToken: string;
  /** The processes of this gateway: a request for numbers reaches one of them. */
  readonly survey: Survey;
  readonly health: GatewayHealth;
}
