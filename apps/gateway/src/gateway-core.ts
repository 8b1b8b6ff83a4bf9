import type { FencedStore, InvalidationBus } from "@larder/cache-core";
import { ApiRouter } from "./api-router.ts";
import { AnswerCache } from "./caching/answer-cache.ts";
import { defaultControls } from "./caching/cache-controls.ts";
import { RequestPlanner } from "./caching/request-plan.ts";
import { ResponseBook, type SharedNotes } from "./caching/response-book.ts";
import type { StoredAnswer } from "./caching/stored-answer.ts";
import type { Settings } from "./config/schema.ts";
import type { ModelCatalog } from "./endpoints/models-endpoint.ts";
import type { GatewayParts, PriceBook } from "./gateway-parts.ts";
import type { Authenticator } from "./security/authenticator.ts";
import { ProxyTrust } from "./security/proxy-trust.ts";
import { RateLimiter, type SharedCounter } from "./security/rate-limiter.ts";
import type { Log } from "./telemetry/log.ts";
import { logBreakers } from "./telemetry/log-breakers.ts";
import { logBrokenAnswers } from "./telemetry/log-broken-answers.ts";
import { logRefusedAccounts } from "./telemetry/log-refused-accounts.ts";
import { Meter } from "./telemetry/meter.ts";
import type { Telemetry } from "./telemetry/telemetry.ts";
import { ProviderCaller } from "./upstream/call-provider.ts";

/** What differs between a server, a mounted handler and a `fetch` with a cache in it. */
export interface GatewayCoreOptions {
  readonly settings: Settings;
  /** Whether callers of several tenants use the operator's own credentials. @default false */
  readonly hasTenants?: boolean;
  readonly authenticator: Pick<Authenticator, "identify">;
  readonly directory: GatewayParts["directory"];
  readonly log: Log;
  /** @default none: nothing of a request leaves the process */
  readonly telemetry?: Telemetry | undefined;
  /** @default none: nothing is listed beside the upstreams' own models, and what hits save is not told in dollars */
  readonly catalog?: ModelCatalog;
  /** What tokens cost, to tell what hits save. @default none: nothing is told in dollars */
  readonly prices?: PriceBook;
  /** Where answers are shared with other processes. @default none: memory alone */
  readonly l2?: FencedStore<StoredAnswer> | undefined;
  /** Where it is shared who has made which response. @default none: each process knows of its own */
  readonly notes?: SharedNotes | undefined;
  /** Carries invalidations to and from other processes. @default none: nobody is told */
  readonly bus?: InvalidationBus | undefined;
  /** Count for several processes what is limited. @default none: each process counts its own */
  readonly counters?: readonly SharedCounter[];
  /** Faults in a row that open a provider's breaker; `Infinity`: it is called whatever came before. @default 5 */
  readonly faultsToOpen?: number;
}

/** The part of the gateway that answers requests, whatever carries them. */
export interface GatewayCore {
  readonly parts: GatewayParts;
  readonly api: ApiRouter;
  /** Drops every answer that waits or is stored in memory. Calling it again is fine. */
  close(): Promise<void>;
}

/** Composes cache, routing and endpoints. */
export function createGatewayCore(options: GatewayCoreOptions): GatewayCore {
  const { settings, l2, bus } = options;
  const { cacheMaxEntries: maxEntries, cacheMaxBytes: maxBytes, cacheTtl: ttlMs } = settings;
  const answers = new AnswerCache({ maxEntries, maxBytes, ttlMs, l2, bus });
  const parts: GatewayParts = {
    settings,
    hasTenants: options.hasTenants ?? false,
    answers,
    planner: new RequestPlanner(settings),
    responses: new ResponseBook(options.notes),
    directory: options.directory,
    caller: new ProviderCaller(settings.upstreamRetries, options.faultsToOpen, logBreakers(options.log)),
    limiter: new RateLimiter(options.counters),
    trust: new ProxyTrust(settings.trustProxy),
    meter: new Meter(),
    log: options.log,
    onRefusedAccount: logRefusedAccounts(options.log),
    onBroken: logBrokenAnswers(options.log),
    telemetry: options.telemetry,
    prices: options.prices ?? { costOf: () => 0 },
    controls: defaultControls(settings.cacheMode, settings.usageOnHit),
  };
  const api = new ApiRouter(parts, options.authenticator, options.catalog ?? { models: () => [] });
  const close = async (): Promise<void> => {
    await Promise.allSettled([api.close(), answers.close()]);
  };
  return { parts, api, close };
}
