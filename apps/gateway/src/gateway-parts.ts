import type { MaybePromise } from "@larder/cache-core";
import type { AnswerCache } from "./caching/answer-cache.ts";
import type { CacheControls } from "./caching/cache-controls.ts";
import type { RequestPlanner } from "./caching/request-plan.ts";
import type { ResponseBook } from "./caching/response-book.ts";
import type { StoredAnswer } from "./caching/stored-answer.ts";
import type { Settings } from "./config/schema.ts";
import type { Identity } from "./security/authenticator.ts";
import type { ProxyTrust } from "./security/proxy-trust.ts";
import type { RateLimiter } from "./security/rate-limiter.ts";
import type { Log } from "./telemetry/log.ts";
import type { BrokenAnswer } from "./telemetry/log-broken-answers.ts";
import type { Meter } from "./telemetry/meter.ts";
import type { Telemetry } from "./telemetry/telemetry.ts";
import type { ProviderCaller } from "./upstream/call-provider.ts";
import type { ProviderTable } from "./upstream/provider-table.ts";

/** What models cost. */
export interface PriceBook {
  /** Dollars that an answer cost; 0 when the model's price is not known. */
  costOf(answer: StoredAnswer): number;
}

/** What the endpoints share. Made once by `createGatewayCore`. */
export interface GatewayParts {
  readonly settings: Settings;
  /** Whether callers of several tenants use the operator's own credentials. */
  readonly hasTenants: boolean;
  readonly answers: AnswerCache;
  readonly planner: RequestPlanner;
  /** Who has made which response. */
  readonly responses: ResponseBook;
  /** The providers that a caller's requests may go to. */
  readonly directory: { table(identity: Identity): MaybePromise<ProviderTable> };
  readonly caller: ProviderCaller;
  readonly limiter: RateLimiter;
  /** Whose word counts about where a request came from. */
  readonly trust: ProxyTrust;
  readonly meter: Meter;
  readonly log: Log;
  /** Told when a provider refuses the operator's own account. */
  readonly onRefusedAccount: (providerId: string, status: number) => void;
  /** Told of answers that providers break off. */
  readonly onBroken: (broken: BrokenAnswer) => void;
  /** Traces and metrics that leave the process; `undefined` when nobody asked for them. */
  readonly telemetry: Telemetry | undefined;
  readonly prices: PriceBook;
  /** Controls of a request that asks for nothing. */
  readonly controls: CacheControls;
}
