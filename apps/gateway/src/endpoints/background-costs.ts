import type { TokenUsage } from "../answers/family.ts";
import type { JsonObject } from "../answers/json.ts";
import type { GatewayParts } from "../gateway-parts.ts";
import type { Identity } from "../security/authenticator.ts";
import { memberOf } from "../upstream/rewrite-body.ts";
import { countSpent } from "./charge-usage.ts";
import { estimateUsage, NOTHING_CAME } from "./token-estimate.ts";

/*
 * What a response in the background costs is told when it is finished, to whoever reads it, as often as it is read. Its input is charged by estimate when it is asked
 * for, and the rest once, when it is first read finished. One that nobody reads is never told of.
 */

/** Whether a request asks for a response in the background. */
export function isInBackground(endpoint: string, body: Buffer | undefined): body is Buffer {
  return endpoint === "responses" && body !== undefined && memberOf(body, "background")?.toString().trim() === "true";
}

/** What is charged at once of a response in the background. */
export function estimateForLater(endpoint: string, body: Buffer | undefined): TokenUsage | undefined {
  return isInBackground(endpoint, body) ? estimateUsage(body, NOTHING_CAME) : undefined;
}

/** Notes what is charged already of a response that was asked for. @param charged `undefined`: all that it costs */
export function noteCharged(
  parts: GatewayParts,
  { tenant }: Identity,
  response: JsonObject | undefined,
  charged: TokenUsage | undefined,
): void {
  if (typeof response?.id !== "string") return;
  parts.responses.noteCharged(tenant, response.id, charged ? charged.inputTokens + charged.outputTokens : Number.POSITIVE_INFINITY);
}

/**
 * Charges what is not charged yet of a finished response that is read, or cancelled. @param method what is read costs nothing where nothing is known of it: it may
 * have been charged when it was made, while only what is made in the background can be cancelled
 */
export async function chargeFinished(
  parts: GatewayParts,
  identity: Identity,
  id: string,
  method: string,
  usage: TokenUsage,
): Promise<void> {
  const unknown = method === "POST" ? 0 : undefined;
  const charged = await parts.responses.takeCharged(identity.tenant, id, unknown);
  if (charged !== undefined && charged < Number.POSITIVE_INFINITY) countSpent(parts, identity, usage, charged);
}
