import { parseObject } from "../answers/json.ts";
import { messagesFamily } from "../answers/messages.ts";
import type { RequestPlan } from "../caching/request-plan.ts";
import type { GatewayParts } from "../gateway-parts.ts";
import { Departure } from "../http/departure.ts";
import type { Exchange } from "../http/exchange.ts";
import { HttpError } from "../http/http-error.ts";
import type { Identity } from "../security/authenticator.ts";
import { passThrough } from "./pass-through.ts";

const PATH = "/v1/messages/count_tokens";

/**
 * Passes a count of tokens on to where the message itself would go: only that provider knows the model, under whatever name callers ask for it.
 * @throws {HttpError} 400 for a body that names no model
 */
export async function countTokens(parts: GatewayParts, exchange: Exchange, identity: Identity): Promise<void> {
  const body = await exchange.readBody(parts.settings.maxBody);
  const model = parseObject(body.toString("utf8"))?.model;
  if (typeof model !== "string" || model === "")
    throw new HttpError(400, "The request has no model: name one in the field `model`.", { code: "invalid_request", param: "model" });
  const table = await parts.directory.table(identity);
  const { targets, route } = table.route(model, "anthropic", () => 0);
  const plan: RequestPlan = {
    model,
    isStream: false,
    includeUsage: false,
    hasStreamOptions: false,
    labels: "",
    encodingFormat: "float",
    targets: targets.map((target) => ({ ...target, key: "", itemKeys: [], tags: [] })),
    route,
    bypass: "uncached",
    isDeterministic: false,
    table,
  };
  const { search, requestId, trace } = exchange;
  const request = { family: messagesFamily, path: PATH, search, headers: exchange.headers(), identity, plan, body, requestId, trace };
  const departure = new Departure(exchange, () => {
    parts.meter.abandoned += 1;
  });
  const options = { endpoint: "count_tokens", verdict: "BYPASS", shape: "anthropic", signal: departure.watched() } as const;
  if (await passThrough(parts, request, exchange, options)) parts.meter.passedOn(options.endpoint);
}
