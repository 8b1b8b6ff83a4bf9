import { z } from "zod";

/** What routing needs of a saved provider, each field by itself. */
const salvagedSchema = z
  .object({
    displayName: z.string().catch(""),
    baseUrl: z.string().catch(""),
    models: z
      .array(z.unknown())
      .catch([])
      .transform((models) => models.filter((model) => typeof model === "string")),
    passthrough: z.enum(["callers-key", "own-key"]).optional().catch(undefined),
  })
  .catch({ displayName: "", baseUrl: "", models: [], passthrough: undefined });

/**
 * What can be read of settings that cannot be read as a whole, as a later release may have left them, or a hand: which models are that provider's is to be
 * known also when it cannot be called, or they would go to another.
 */
export function salvageSettings(text: string): z.output<typeof salvagedSchema> {
  try {
    return salvagedSchema.parse(JSON.parse(text));
  } catch {
    return salvagedSchema.parse(undefined);
  }
}
