import type { CacheControls } from "../caching/cache-controls.ts";
import type { RequestPlan } from "../caching/request-plan.ts";

/** The controls with what the route and the request's own nature add: they can narrow what was asked for, and never widen it. */
export function narrowControls(controls: CacheControls, plan: Pick<RequestPlan, "bypass" | "route">, isUncertain: boolean): CacheControls {
  if (plan.bypass !== undefined || isUncertain) return { ...controls, isRead: false, isWrite: false };
  const mode = plan.route?.cache;
  if (mode === undefined || mode === "on") return controls;
  return { ...controls, isRead: controls.isRead && mode === "read-only", isWrite: controls.isWrite && mode === "write-only" };
}
