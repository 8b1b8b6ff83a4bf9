import type { PlannedTarget } from "../caching/request-plan.ts";
import type { GatewayParts } from "../gateway-parts.ts";
import type { Identity } from "../security/authenticator.ts";
import type { UpstreamFailure } from "../upstream/upstream-failure.ts";

/** A key that is not valid, an account without money, one without the right. */
const OF_THE_ACCOUNT: ReadonlySet<number> = new Set([401, 402, 403]);

/**
 * Whether a target that has failed gives way to the next one: what may go away does, and what is the provider's fault though it will not go away, such as a
 * redirect. So does a refusal of the operator's own account, which says nothing about the request, and of which no caller can do anything: when the money is
 * used up, OpenAI says 429 and others 402. A refusal of the caller's own key is the caller's to hear of.
 */
export function givesWay(parts: GatewayParts, { provider }: PlannedTarget, { upstreamKey }: Identity, failure: UpstreamFailure): boolean {
  if (failure.isRetryable || failure.isProviderFault) return true;
  const isOperators = !upstreamKey || provider.passthrough !== "callers-key";
  if (!isOperators || !OF_THE_ACCOUNT.has(failure.status)) return false;
  parts.onRefusedAccount(provider.id, failure.status);
  return true;
}
