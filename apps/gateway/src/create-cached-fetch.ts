import { createHash } from "node:crypto";
import type { CacheStats } from "@larder/cache-core";
import { createSettings } from "./config/read-settings.ts";
import { createGatewayCore } from "./gateway-core.ts";
import { FetchExchange } from "./http/fetch-exchange.ts";
import type { Identity } from "./security/authenticator.ts";
import { createLog } from "./telemetry/log.ts";
import { FetchUpstream } from "./upstream/fetch-upstream.ts";
import type { Provider } from "./upstream/provider.ts";
import { ProviderTable } from "./upstream/provider-table.ts";

/** How `createCachedFetch` caches. */
export interface CachedFetchOptions {
  /** What requests go out with. @default the global `fetch` */
  readonly fetch?: typeof fetch;
  /** Milliseconds > 0 for which an answer is fresh. @default 3600000 (an hour) */
  readonly ttlMs?: number;
  /** Answers held at most; integer >= 1. @default 10000 */
  readonly maxEntries?: number;
  /** Bytes of answers held at most; integer >= 1. @default 268435456 (256 MiB) */
  readonly maxBytes?: number;
  /** Milliseconds >= 0 past `ttlMs` in which an old answer is given at once while a new one is fetched behind it. @default 0 */
  readonly staleWhileRevalidateMs?: number;
  /** Milliseconds >= 0 past `ttlMs` in which an old answer is given when the provider fails. @default 0 */
  readonly staleIfErrorMs?: number;
}

/** A `fetch` with a cache in it. */
export interface CachedFetch {
  (input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /** Drops every stored answer. */
  clear(): Promise<void>;
  /** Counters and state of the cache. */
  stats(): CacheStats;
  /** Releases what it holds. Calling it again is fine. */
  close(): Promise<void>;
}

/** Endpoints by the end of their path, whatever base URL stands before it. */
const ENDPOINT = /^(.*?)(\/(?:chat\/completions|completions|embeddings|responses|messages|images\/generations))$/;
/** Headers about one connection or about this cache: not sent on. */
const OWN_HEADERS = /^(host|connection|content-length|transfer-encoding|accept-encoding|cache-control|x-larder-.*|x-openrouter-cache.*)$/;
/** Base URLs remembered at most. */
const MAX_BASES = 256;

/**
 * A drop-in `fetch` for `new OpenAI({ fetch })` and the providers of the AI SDK: repeated requests are answered from memory, streams
 * included, and identical ones in flight share one call. Everything else passes through untouched. Each credential has entries of its
 * own, and requests go out with the caller's own headers.
 */
export function createCachedFetch(options: CachedFetchOptions = {}): CachedFetch {
  const { fetch: next = globalThis.fetch, ttlMs = 3_600_000, maxEntries = 10_000, maxBytes = 268_435_456 } = options;
  const settings = {
    ...createSettings({ upstreamRetries: 0 }),
    cacheTtl: ttlMs,
    cacheMaxEntries: maxEntries,
    cacheMaxBytes: maxBytes,
    staleWhileRevalidate: options.staleWhileRevalidateMs ?? 0,
    staleIfError: options.staleIfErrorMs ?? 0,
  };
  const tables = new BaseUrlTables(new FetchUpstream(next), settings.upstreamTimeout);
  const bases = new WeakMap<object, string>();
  const core = createGatewayCore({
    settings,
    log: createLog("silent"),
    authenticator: { identify: (exchange) => identityOf(exchange.headers(), bases.get(exchange) ?? "") },
    directory: { table: (identity) => tables.of((identity as CallerIdentity).baseUrl) },
  });
  const cached = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const url = new URL(input instanceof Request ? input.url : input);
    const method = init?.method ?? (input instanceof Request ? input.method : "GET");
    const match = method.toUpperCase() === "POST" && url.search === "" ? ENDPOINT.exec(url.pathname) : null;
    if (!match) return next(input, init);
    const exchange = new FetchExchange(new Request(input, init), `/v1${match[2]}`);
    bases.set(exchange, `${url.origin}${match[1]}`);
    void core.api.handle(exchange);
    return exchange.response;
  };
  const clear = async (): Promise<void> => {
    await core.parts.answers.invalidateAll();
  };
  return Object.assign(cached, { clear, stats: () => core.parts.answers.stats(), close: () => core.close() });
}

interface CallerIdentity extends Identity {
  readonly baseUrl: string;
}

function identityOf(headers: Readonly<Record<string, string | undefined>>, baseUrl: string): CallerIdentity {
  const own: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) if (value !== undefined && !OWN_HEADERS.test(name)) own[name] = value;
  const credential = `${headers.authorization ?? ""}\n${headers["x-api-key"] ?? ""}\n${headers["api-key"] ?? ""}`;
  const tenant = `key-${createHash("sha256").update(credential).digest("hex")}`;
  return { tenant, keyId: undefined, limits: {}, upstreamKey: undefined, headers: own, baseUrl };
}

/** One provider per base URL: what a request names is where it goes. */
class BaseUrlTables {
  readonly #upstream: FetchUpstream;
  readonly #timeoutMs: number;
  readonly #tables = new Map<string, ProviderTable>();

  constructor(upstream: FetchUpstream, timeoutMs: number) {
    this.#upstream = upstream;
    this.#timeoutMs = timeoutMs;
  }

  of(baseUrl: string): ProviderTable {
    const known = this.#tables.get(baseUrl);
    if (known) return known;
    const provider: Provider = {
      id: new URL(baseUrl).host,
      displayName: baseUrl,
      baseUrl,
      kind: "openai",
      apiKey: undefined,
      passthrough: undefined,
      headers: {},
      models: [],
      timeoutMs: this.#timeoutMs,
      source: "environment",
      upstream: this.#upstream,
    };
    if (this.#tables.size >= MAX_BASES) this.#tables.clear();
    const table = new ProviderTable({ aliases: {}, routes: [] }, [], provider);
    this.#tables.set(baseUrl, table);
    return table;
  }
}
