import type { AnswerFamily } from "../answers/family.ts";
import { parseObject } from "../answers/json.ts";
import { messagesFamily } from "../answers/messages.ts";
import { responsesFamily } from "../answers/responses.ts";
import type { PlannedTarget, RequestPlan } from "../caching/request-plan.ts";
import { continuedBy } from "../caching/response-book.ts";
import type { GatewayParts } from "../gateway-parts.ts";
import { Departure } from "../http/departure.ts";
import type { Exchange } from "../http/exchange.ts";
import { HttpError } from "../http/http-error.ts";
import type { Identity } from "../security/authenticator.ts";
import type { ProviderTable, RoutedTarget, Routing } from "../upstream/provider-table.ts";
import { passThrough } from "./pass-through.ts";
import { goOn } from "./response-makers.ts";

/** What is asked about a conversation beside its next answer. */
export interface AskedBeside {
  readonly path: string;
  /** What it is counted under. */
  readonly name: string;
  readonly family: AnswerFamily;
  /** Whether it can be asked without a model: the provider's own default is meant then. */
  readonly needsModel: boolean;
}

/** Counts of tokens, and a conversation made shorter. */
export const ASKED_BESIDE: readonly AskedBeside[] = [
  { path: "/v1/messages/count_tokens", name: "count_tokens", family: messagesFamily, needsModel: true },
  { path: "/v1/responses/input_tokens", name: "input_tokens", family: responsesFamily, needsModel: false },
  { path: "/v1/responses/compact", name: "compact", family: responsesFamily, needsModel: false },
];

/**
 * Passes such a request on to where the answer itself would be asked for: only that provider knows the model, under whatever name callers ask for it.
 * @throws {HttpError} 400 for a body that names no model, where one is needed
 */
export async function passByModel(parts: GatewayParts, asked: AskedBeside, exchange: Exchange, identity: Identity): Promise<void> {
  const { path, name, family } = asked;
  const body = await exchange.readBody(parts.settings.maxBody);
  const fields = parseObject(body.toString("utf8")) ?? {};
  const model = typeof fields.model === "string" ? fields.model : "";
  if (model === "" && asked.needsModel)
    throw new HttpError(400, "The request has no model: name one in the field `model`.", { code: "invalid_request", param: "model" });
  const table = await parts.directory.table(identity);
  const { targets, candidates, route } = routingOf(table, asked, model);
  const { previous_response_id, conversation, input } = fields;
  const isOneOfSeveral = family.kind === "responses" && candidates.length > 1;
  const drawn: RequestPlan = {
    model,
    isStream: false,
    includeUsage: false,
    hasStreamOptions: false,
    labels: "",
    encodingFormat: "float",
    targets: targets.map(unkeyed),
    candidates: isOneOfSeveral ? candidates.map(unkeyed) : [],
    continued: isOneOfSeveral ? continuedBy({ previous_response_id, conversation, input }) : undefined,
    route,
    bypass: "uncached",
    isDeterministic: false,
    table,
  };
  const plan = await goOn(parts, drawn, identity);
  const { search, requestId, trace } = exchange;
  const request = { family, path, search, headers: exchange.headers(), identity, plan, body, requestId, trace };
  const departure = new Departure(exchange, () => {
    parts.meter.abandoned += 1;
  });
  const shape = family.kind === "messages" ? "anthropic" : "openai";
  const options = { endpoint: name, verdict: "BYPASS", shape, signal: departure.watched() } as const;
  if (await passThrough(parts, request, exchange, options)) parts.meter.passedOn(name);
}

function unkeyed({ provider, model }: RoutedTarget): PlannedTarget {
  return { provider, model, key: "", itemKeys: [], tags: [] };
}

function routingOf(table: ProviderTable, { family }: AskedBeside, model: string): Pick<Routing, "targets" | "candidates" | "route"> {
  const single = { targets: [{ provider: table.fallback, model }], candidates: [], route: undefined };
  if (model === "") return single;
  return table.route(model, family.kind === "messages" ? "anthropic" : "openai", () => 0);
}
