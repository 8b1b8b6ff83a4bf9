import { createHash } from "node:crypto";
import { isIP } from "node:net";
import { type InvalidationBus, type InvalidationResult, type MaybePromise, TieredCache } from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";
import { SettingsError } from "../config/read-settings.ts";
import type { KeyLimits, Settings } from "../config/schema.ts";
import { AllowedOrigins, ANY_ORIGIN } from "../http/allowed-origins.ts";
import type { Exchange } from "../http/exchange.ts";
import { HttpError } from "../http/http-error.ts";
import { isPromise } from "../is-promise.ts";
import type { GatewayStore } from "../storage/gateway-store.ts";
import { ProxyTrust } from "./proxy-trust.ts";
import { CallersKey } from "./secret.ts";

/** Who asks. */
export interface Identity {
  /** Whose cache entries these are. */
  readonly tenant: string;
  /** The virtual key's id; `undefined` where there are no keys. */
  readonly keyId: string | undefined;
  readonly limits: KeyLimits;
  /** The caller's own upstream key, in passthrough. */
  readonly upstreamKey: CallersKey | undefined;
  /** Headers that go upstream as they are: those of a caller in this very process. */
  readonly headers?: Readonly<Record<string, string>>;
}

const NO_LIMITS: KeyLimits = {};
const ANYONE: Identity = { tenant: "default", keyId: undefined, limits: NO_LIMITS, upstreamKey: undefined };
const LOOPBACK_NAMES: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);
/** How long a key that does not exist is remembered as such: guesses must not each cost a query. A new key drops its own entry. */
const UNKNOWN_KEY_TTL_MS = 5_000;

/** Whether an address is this machine alone. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** The way in that applies: what is configured, else `none` on loopback and `keys` elsewhere. */
export function authModeOf(settings: Pick<Settings, "auth" | "host">): "keys" | "passthrough" | "none" {
  return settings.auth ?? (isLoopback(settings.host) ? "none" : "keys");
}

/** Digest under which a virtual key is stored. All of the key counts: a truncated one let other users in elsewhere (CVE-2026-35030). */
export function hashKey(key: string): string {
  return createHash("sha256").update("larder-virtual-key").update(key).digest("hex");
}

/** Tells who asks, and refuses those who may not. */
export class Authenticator {
  readonly #mode: "keys" | "passthrough" | "none";
  readonly #isLocalOnly: boolean;
  readonly #trust: ProxyTrust;
  readonly #origins: AllowedOrigins;
  readonly #store: GatewayStore;
  readonly #defaultLimits: KeyLimits;
  readonly #keys: TieredCache<Identity | null>;

  constructor(settings: Settings, store: GatewayStore, bus: InvalidationBus | undefined) {
    this.#mode = authModeOf(settings);
    this.#isLocalOnly = this.#mode === "none" && isLoopback(settings.host);
    if (this.#mode === "none" && settings.allowedOrigins.includes(ANY_ORIGIN))
      throw new SettingsError([
        "LARDER_ALLOWED_ORIGINS must name the origins where there are no keys: with * every web page could use the gateway",
      ]);
    this.#trust = new ProxyTrust(settings.trustProxy);
    this.#origins = new AllowedOrigins(settings.allowedOrigins);
    this.#store = store;
    this.#defaultLimits = settings.keyLimits;
    this.#keys = new TieredCache<Identity | null>({
      l1: new MemoryCache({ maxEntries: 20_000, name: "virtual-keys" }),
      namespace: "virtual-keys",
      ttlMs: settings.providerConfigTtlMs,
      negativeTtlMs: UNKNOWN_KEY_TTL_MS,
      ...(bus ? { bus } : {}),
    });
  }

  /** Who asks. At once unless a virtual key must be looked up. @throws {HttpError} 401 or 403 */
  identify(exchange: Exchange): MaybePromise<Identity> {
    if (this.#mode === "none") {
      if (this.#isLocalOnly) checkLocal(exchange, this.#trust, this.#origins);
      return ANYONE;
    }
    const bearer = bearerIn(exchange.header("authorization"));
    const token = bearer ?? tokenOf(exchange);
    if (token === undefined) throw unauthorized("No API key was sent: use the Authorization header, as `Bearer <key>`, or x-api-key.");
    if (this.#mode === "passthrough")
      return {
        tenant: `key-${createHash("sha256").update(token).digest("hex")}`,
        keyId: undefined,
        limits: NO_LIMITS,
        upstreamKey: new CallersKey(token, bearer !== undefined),
      };
    const found = this.#keys.getOrSet(hashKey(token), ({ key }) => this.#load(key));
    return isPromise(found) ? found.then(orRefuse, refuseForTrouble) : orRefuse(found);
  }

  /** A key was made or revoked: nothing older is used here from now on, nor on peers within one delivery. */
  invalidate(hash: string): Promise<InvalidationResult> {
    return this.#keys.invalidate(hash);
  }

  close(): Promise<void> {
    return this.#keys.close();
  }

  async #load(hash: string): Promise<Identity | null> {
    const stored = await this.#store.findKey(hash);
    if (!stored) return null;
    const limits = { ...this.#defaultLimits, ...(JSON.parse(stored.limits) as KeyLimits) };
    return { tenant: stored.tenant, keyId: stored.id, limits, upstreamKey: undefined };
  }
}

function orRefuse(identity: Identity | null | undefined): Identity {
  if (!identity) throw unauthorized("The API key is not valid.");
  return identity;
}

function refuseForTrouble(): never {
  throw new HttpError(503, "Keys cannot be checked now.", { code: "keys_unavailable", headers: { "retry-after": "1" } });
}

function unauthorized(message: string): HttpError {
  return new HttpError(401, message, { code: "invalid_api_key", headers: { "www-authenticate": "Bearer" } });
}

/** The caller's key. Anthropic's client sends one of the two, depending on its version. */
export function tokenOf(exchange: Exchange): string | undefined {
  const authorization = exchange.header("authorization");
  return isBearer(authorization) ? bearerIn(authorization) : exchange.header("x-api-key")?.trim() || undefined;
}

/** The token of an `Authorization` header; `undefined` when it holds none. */
export function bearerIn(authorization: string | undefined): string | undefined {
  return isBearer(authorization) ? authorization.slice("bearer ".length).trim() || undefined : undefined;
}

function isBearer(authorization: string | undefined): authorization is string {
  return authorization !== undefined && /^bearer /i.test(authorization);
}

/**
 * Without keys, only programs on this machine may come in, and no page in a browser: a page can make requests to loopback, by a name of its
 * own that resolves there (DNS rebinding: refused by `Host`) or across origins (refused by `Origin` and `Sec-Fetch-Site`). Behind a trusted proxy
 * it is the proxy's client that must be on this machine. The host that it asked for must be local in every header that tells it: a page can
 * write `X-Forwarded-Host` itself, and not every proxy replaces it. @param origins whose pages are let in all the same
 */
export function checkLocal(exchange: Exchange, trust: ProxyTrust, origins?: AllowedOrigins): void {
  const client = trust.isEmpty ? undefined : trust.clientOf(exchange);
  if (client?.isForwarded && !isLoopback(client.address ?? "")) throw forbidden("x-forwarded-for");
  const host = client?.host ?? exchange.header("host") ?? "";
  if (!isLocalHost(host) || !isLocalHost(exchange.header("host") ?? "")) throw forbidden("host");
  const origin = exchange.header("origin");
  if (origin !== undefined && origins?.allows(origin)) return;
  if (origin !== undefined && origin.toLowerCase() !== `${client?.protocol ?? "http"}://${host.toLowerCase()}`) throw forbidden("origin");
  const site = exchange.header("sec-fetch-site");
  if (site !== undefined && site !== "same-origin" && site !== "none") throw forbidden("sec-fetch-site");
}

function isLocalHost(host: string): boolean {
  const name = host.replace(/:\d+$/, "").toLowerCase();
  return LOOPBACK_NAMES.has(name) || /^127(\.\d{1,3}){3}$/.test(name);
}

function forbidden(param: string): HttpError {
  return new HttpError(403, "Without keys (LARDER_AUTH=none) only programs on this machine are answered, not web pages or other hosts.", {
    code: "local_only",
    param,
  });
}
