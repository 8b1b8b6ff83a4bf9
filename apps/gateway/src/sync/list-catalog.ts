import type { CatalogModel, CatalogView } from "@larder/provider-sync";
import type { JsonObject } from "../answers/json.ts";
import { LISTED_SINCE } from "../endpoints/listed-model.ts";

/** Lists made of a view, so that each version is listed once. */
const lists = new WeakMap<CatalogView, readonly JsonObject[]>();

/** The catalog's models as OpenAI lists models, with what else is known of them. Two sources that name one model alike make one entry. */
export function listCatalog(view: CatalogView): readonly JsonObject[] {
  const known = lists.get(view);
  if (known) return known;
  const byId = new Map<string, JsonObject>();
  for (const model of view.models) {
    const listed = toListed(model);
    if (!byId.has(String(listed.id))) byId.set(String(listed.id), listed);
  }
  const list = [...byId.values()];
  lists.set(view, list);
  return list;
}

function toListed(model: CatalogModel): JsonObject {
  // A router's own names already lead with the maker; others are told apart by who sells them.
  const id = model.provider === "openrouter" || model.provider === "vercel" ? model.model : `${model.provider}/${model.model}`;
  return {
    id,
    object: "model",
    created: model.releasedAt === undefined ? LISTED_SINCE : Math.floor(model.releasedAt / 1000),
    owned_by: model.author ?? model.provider,
    name: model.name,
    ...(model.contextTokens === undefined ? {} : { context_length: model.contextTokens }),
    ...(model.outputTokens === undefined ? {} : { max_output_tokens: model.outputTokens }),
    usd_per_million_tokens: { input: model.usdPerMillion.input ?? null, output: model.usdPerMillion.output ?? null },
  };
}
