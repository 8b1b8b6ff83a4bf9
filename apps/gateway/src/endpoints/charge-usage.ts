import type { TokenUsage } from "../answers/family.ts";
import type { GatewayParts } from "../gateway-parts.ts";
import type { Identity } from "../security/authenticator.ts";

/** Counts and charges what a provider says that a call has cost. @param charged tokens of it that are charged already */
export function countSpent(parts: GatewayParts, identity: Identity, usage: TokenUsage | undefined, charged = 0): void {
  if (!usage) return;
  parts.meter.spentInputTokens += usage.inputTokens;
  parts.meter.spentOutputTokens += usage.outputTokens;
  parts.limiter.charge(identity, Math.max(0, usage.inputTokens + usage.outputTokens - charged));
}

/** Charges a key with what a call may have cost. Not told as spent: nobody has said so. */
export function chargeEstimate(parts: GatewayParts, identity: Identity, usage: TokenUsage | undefined): void {
  if (usage) parts.limiter.charge(identity, usage.inputTokens + usage.outputTokens);
}
