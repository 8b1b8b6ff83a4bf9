import type { Endpoint } from "@larder/cache-core/keys";
import type { CacheControls } from "../caching/cache-controls.ts";
import type { RequestPlan } from "../caching/request-plan.ts";
import type { Settings } from "../config/schema.ts";

/** Endpoints whose requests have no temperature. */
const WITHOUT_CHANCE: ReadonlySet<Endpoint> = new Set<Endpoint>(["embedding", "image"]);

/** Whether the same request may be meant to give another answer each time, and the operator does not want such answers kept. */
export function isUncertain(
  { deterministicOnly }: Pick<Settings, "deterministicOnly">,
  endpoint: Endpoint,
  { isDeterministic }: Pick<RequestPlan, "isDeterministic">,
  { isExplicit }: CacheControls,
): boolean {
  return deterministicOnly && !isDeterministic && !isExplicit && !WITHOUT_CHANCE.has(endpoint);
}
