import type { TokenUsage } from "../answers/family.ts";
import type { GatewayParts } from "../gateway-parts.ts";
import type { Identity } from "../security/authenticator.ts";

/** Counts and charges what a provider says that a call has cost. */
export function countSpent(parts: GatewayParts, identity: Identity, usage: TokenUsage | undefined): void {
  if (!usage) return;
  parts.meter.spentInputTokens += usage.inputTokens;
  parts.meter.spentOutputTokens += usage.outputTokens;
  parts.limiter.charge(identity, usage.inputTokens + usage.outputTokens);
}

/** Charges a key with what a call may have cost. Not told as spent: nobody has said so. */
export function chargeEstimate(parts: GatewayParts, identity: Identity, usage: TokenUsage | undefined): void {
  if (usage) parts.limiter.charge(identity, usage.inputTokens + usage.outputTokens);
}
