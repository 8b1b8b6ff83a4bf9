import type { MaybePromise } from "@larder/cache-core";
import type { JsonObject } from "../answers/json.ts";
import type { RequestPlan } from "../caching/request-plan.ts";
import type { GatewayParts } from "../gateway-parts.ts";
import { isPromise } from "../is-promise.ts";
import type { Identity } from "../security/authenticator.ts";
import type { Provider } from "../upstream/provider.ts";
import type { ProviderTable } from "../upstream/provider-table.ts";

/*
 * A response that a provider keeps is known to that provider alone. Who asks for it later, or goes on from it, names it by its id and no provider: what
 * follows finds the way back, where there is more than one.
 */

/** A stored response, and what is asked of it. */
const STORED_RESPONSE = /^\/v1\/responses\/([^/]+)(?:\/[^/]+)?$/;

/** The id of the response that a path is about; `undefined` where it is about none. */
export function responseIn(path: string): string | undefined {
  return STORED_RESPONSE.exec(path)?.[1];
}

/** Notes who has made a response, unless it is found there anyway. */
export function noteMaker(parts: GatewayParts, plan: RequestPlan, { tenant }: Identity, provider: Provider, response: JsonObject): void {
  if (plan.candidates.length > 0 || provider !== plan.table.fallback) parts.responses.noteMaker(tenant, response, provider.id);
}

/** The provider that has made a stored response, as far as it is known and may be called. */
export async function makerOf(parts: GatewayParts, { tenant }: Identity, id: string, table: ProviderTable): Promise<Provider | undefined> {
  const provider = table.providers.get((await parts.responses.makerOf(tenant, [id])) ?? "");
  return provider && table.isUsable(provider) ? provider : undefined;
}

/**
 * The plan of a request that goes on from what one of its candidates keeps: to that one alone, since no other knows what is spoken of. Nor is another one asked when it
 * fails, which would say so with an error of its own.
 */
export function goOn(parts: GatewayParts, plan: RequestPlan, { tenant }: Identity): MaybePromise<RequestPlan> {
  const { continued } = plan;
  if (!continued) return plan;
  const narrow = (maker: string | undefined): RequestPlan => {
    const id = maker ?? (continued.isConversation ? plan.table.fallback.id : undefined);
    const targets = plan.candidates.filter(({ provider }) => provider.id === id);
    return targets.length === 0 ? plan : { ...plan, targets: targets.slice(0, 1) };
  };
  const maker = parts.responses.makerOf(tenant, continued.ids);
  return isPromise(maker) ? maker.then(narrow) : narrow(maker);
}
