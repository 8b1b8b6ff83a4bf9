import { AsyncLocalStorage } from "node:async_hooks";
import { createHash } from "node:crypto";
import { type CacheStats, checkCount, checkFunction, checkOptions, checkWindowMs, type OptionNames } from "@larder/cache-core";
import { createSettings } from "./config/read-settings.ts";
import { createGatewayCore } from "./gateway-core.ts";
import { FetchExchange, type Instead } from "./http/fetch-exchange.ts";
import { HttpError } from "./http/http-error.ts";
import type { Identity } from "./security/authenticator.ts";
import { createLog } from "./telemetry/log.ts";
import { FetchUpstream } from "./upstream/fetch-upstream.ts";
import type { Provider } from "./upstream/provider.ts";
import { ProviderTable } from "./upstream/provider-table.ts";
import { headerOf } from "./upstream/upstream.ts";
import { UpstreamFailure } from "./upstream/upstream-failure.ts";

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
  /**
   * Whose entries a request uses: requests of one tenant share them, whatever else their headers say. `undefined` leaves a request to the default.
   * @default the request's headers decide: equal ones share, those apart that are known to say nothing about who asks (`user-agent`, traces, …)
   */
  readonly tenantOf?: (request: Request) => string | undefined | Promise<string | undefined>;
}

const OPTIONS: OptionNames<CachedFetchOptions> = {
  fetch: true,
  ttlMs: true,
  maxEntries: true,
  maxBytes: true,
  staleWhileRevalidateMs: true,
  staleIfErrorMs: true,
  tenantOf: true,
};

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

/**
 * Endpoints by the end of their path, whatever base URL stands before it. Messages of something else (`/threads/{id}/messages`) are no
 * answers: what is posted there changes it.
 */
const ENDPOINT = /^(.*?)(\/(?:chat\/completions|completions|embeddings|responses|images\/generations)|(?<!\/threads\/[^/]+)\/messages)$/;
/** Headers about one connection or about this cache: not sent on. */
const OWN_HEADERS = /^(host|connection|content-length|transfer-encoding|accept-encoding|cache-control|x-larder-.*|x-openrouter-cache.*)$/;
/**
 * Headers that say nothing about who asks. Providers and the gateways before them have many names for a credential (`x-goog-api-key`, `cookie`,
 * `cf-aig-authorization`, …), so every other header keeps entries apart: one too many costs a miss, one too few an answer of somebody else's.
 */
const NEUTRAL_HEADERS =
  /^(accept|accept-language|baggage|content-type|dnt|idempotency-key|newrelic|priority|sentry-trace|sec-fetch-.*|traceparent|tracestate|user-agent|x-amzn-trace-id|x-b3-.*|x-client-request-id|x-cloud-trace-context|x-correlation-id|x-datadog-.*|x-request-id|x-stainless-.*)$/;
/** Base URLs remembered at most. */
const MAX_BASES = 256;
/** What a timer can wait at most: how long a call may take is the application's to say, by its signal or its dispatcher. */
const NO_TIMEOUT_MS = 2 ** 31 - 1;
/** Refusals that a request asks for by headers meant for this cache. */
const OWN_REFUSALS: ReadonlySet<string | undefined> = new Set(["invalid_header", "only_if_cached"]);

/**
 * A drop-in `fetch` for `new OpenAI({ fetch })` and the providers of the AI SDK: repeated requests are answered from memory, streams
 * included, and identical ones in flight share one call. Everything else passes through untouched. Each credential has entries of its
 * own, in whatever header it is sent, and requests go out with the caller's own headers.
 *
 * What fails, fails as it does without the cache, so that clients retry and raise as they always do: a call that cannot be made rejects with
 * the error of the `fetch` below, an abort with the signal's reason, a provider's error is answered as it came, and a request that cannot
 * be cached passes through.
 * @throws {CacheError} ERR_CACHE_INVALID_OPTION for an option of another name, or one that is out of range
 */
export function createCachedFetch(options: CachedFetchOptions = {}): CachedFetch {
  checkOptions(options, OPTIONS);
  const { fetch: next = globalThis.fetch, tenantOf, ttlMs = 3_600_000, maxEntries = 10_000, maxBytes = 268_435_456 } = options;
  const { staleWhileRevalidateMs = 0, staleIfErrorMs = 0 } = options;
  checkFunction("fetch", next);
  if (tenantOf !== undefined) checkFunction("tenantOf", tenantOf);
  const settings = {
    ...createSettings({ upstreamRetries: 0 }),
    cacheTtl: ttlMs,
    cacheMaxEntries: maxEntries,
    cacheMaxBytes: checkCount("maxBytes", maxBytes),
    staleWhileRevalidate: checkWindowMs("staleWhileRevalidateMs", staleWhileRevalidateMs),
    staleIfError: checkWindowMs("staleIfErrorMs", staleIfErrorMs),
    upstreamTimeout: NO_TIMEOUT_MS,
    maxBody: Number.POSITIVE_INFINITY,
  };
  // A call is made by the first of those who share it, and goes the way that one has named: through a proxy, say.
  const extras = new AsyncLocalStorage<RequestInit>();
  const tables = new BaseUrlTables(new FetchUpstream(next, () => extras.getStore()), settings.upstreamTimeout);
  const callers = new WeakMap<object, Caller>();
  const core = createGatewayCore({
    settings,
    faultsToOpen: Number.POSITIVE_INFINITY,
    log: createLog("silent"),
    authenticator: { identify: (exchange) => identityOf(exchange.headers(), callers.get(exchange) ?? NOBODY) },
    directory: { table: (identity) => tables.of((identity as CallerIdentity).baseUrl) },
  });
  const cached = async (input: string | URL | Request, given?: RequestInit): Promise<Response> => {
    // A request of another implementation of fetch is for that one.
    if (typeof input !== "string" && !(input instanceof URL) && !(input instanceof Request)) return next(input, given);
    const url = new URL(input instanceof Request ? input.url : input);
    const method = given?.method ?? (input instanceof Request ? input.method : "GET");
    const match = method.toUpperCase() === "POST" && url.search === "" ? ENDPOINT.exec(url.pathname) : null;
    if (!match) return next(input, given);
    const init = await readable(given);
    const request = new Request(input instanceof Request ? input.clone() : input, init);
    request.signal.throwIfAborted();
    const exchange = new FetchExchange(request, `/v1${match[2]}`, insteadOf(next, input, init));
    callers.set(exchange, { baseUrl: `${url.origin}${match[1]}`, tenant: await tenantOf?.(request.clone()) });
    const { method: _method, headers: _headers, body: _body, signal: _signal, ...rest } = init ?? {};
    void extras.run({ ...rest, redirect: request.redirect }, () => core.api.handle(exchange));
    return exchange.response;
  };
  const clear = async (): Promise<void> => {
    await core.parts.answers.invalidateAll();
  };
  return Object.assign(cached, { clear, stats: () => core.parts.answers.stats(), close: () => core.close() });
}

type ResponseBody = ConstructorParameters<typeof Response>[0];

/** A body that comes as a stream is read: it may have to be sent although the request turns out not to be one for the cache. */
async function readable(init: RequestInit | undefined): Promise<RequestInit | undefined> {
  const { body } = init ?? {};
  const isStream = typeof body === "object" && body !== null && Symbol.asyncIterator in body;
  return isStream ? { ...init, body: await new Response(body as ResponseBody).arrayBuffer() } : init;
}

/** What a caller of `fetch` gets where the gateway would answer with an error of its own. */
function insteadOf(next: typeof fetch, input: string | URL | Request, init: RequestInit | undefined): Instead {
  return (failure, told) => {
    if (!(failure instanceof UpstreamFailure))
      return failure instanceof HttpError && OWN_REFUSALS.has(failure.code) ? undefined : next(input, init);
    if (failure.cause !== undefined) return Promise.reject(failure.cause);
    return failure.body && Promise.resolve(toResponse(failure, failure.body, told));
  };
}

/** A provider's error as it came. */
function toResponse({ status, headers }: UpstreamFailure, body: Buffer, told: readonly string[]): Response {
  const response = new Response(body as ResponseBody, { status });
  for (const name of Object.keys(headers)) response.headers.set(name, headerOf(headers, name) ?? "");
  for (let index = 0; index + 1 < told.length; index += 2) response.headers.set(told[index] as string, told[index + 1] as string);
  return response;
}

/** What is known of a request beside its headers. */
interface Caller {
  readonly baseUrl: string;
  readonly tenant: string | undefined;
}

const NOBODY: Caller = { baseUrl: "", tenant: undefined };

interface CallerIdentity extends Identity {
  readonly baseUrl: string;
}

function identityOf(headers: Readonly<Record<string, string | undefined>>, { baseUrl, tenant }: Caller): CallerIdentity {
  const own: Record<string, string> = {};
  // No header holds a line feed, so no two lists of headers read alike. Names come sorted.
  let asker = "";
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || OWN_HEADERS.test(name)) continue;
    own[name] = value;
    if (!NEUTRAL_HEADERS.test(name)) asker += `${name}\n${value}\n`;
  }
  const whose = tenant === undefined ? `headers\n${asker}` : `tenant\n${tenant}`;
  const digest = createHash("sha256").update(whose).digest("hex");
  return { tenant: `key-${digest}`, keyId: undefined, limits: {}, upstreamKey: undefined, headers: own, baseUrl };
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
