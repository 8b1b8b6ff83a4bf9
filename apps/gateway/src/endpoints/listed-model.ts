import type { JsonObject } from "../answers/json.ts";

/** 2025-01-01, in seconds: for models of which nobody says since when there have been any. Clients' types have a number there. */
export const LISTED_SINCE = 1_735_689_600;

/** A model of which no more than its name is known, as OpenAI lists models. */
export function listedModel(id: string, owner: string): JsonObject {
  return { id, object: "model", created: LISTED_SINCE, owned_by: owner };
}

/** The same model with what Anthropic's clients read of one besides. */
export function listedForAnthropic(model: JsonObject): JsonObject {
  const created = typeof model.created === "number" ? model.created : LISTED_SINCE;
  return { type: "model", display_name: model.id, created_at: new Date(created * 1_000).toISOString(), ...model };
}
