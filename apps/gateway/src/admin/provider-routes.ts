import { Hono } from "hono";
import { z } from "zod";
import { slotOf, storedSettingsSchema } from "../upstream/provider-directory.ts";
import type { AdminParts } from "./admin-parts.ts";
import { audit } from "./audit.ts";
import { readJson, refuse } from "./read-json.ts";

const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** Ids that mean something else in a route or in the configuration. */
const TAKEN: ReadonlySet<string> = new Set(["constructor", "prototype", "sandbox"]);

const inputSchema = z
  .object({
    /** What a header can carry: visible ASCII. Its value is never quoted. */
    apiKey: z
      .string()
      .min(1)
      .max(4096)
      .regex(/^[\x21-\x7e]+$/)
      .nullable()
      .optional(),
    baseUrl: z.string().min(1).max(2048),
    displayName: z
      .string()
      .max(200)
      .regex(/^[^\p{Cc}]*$/u)
      .default(""),
    kind: z.enum(["openai", "anthropic"]).default("openai"),
    models: z.array(z.string().min(1).max(256)).max(10_000).default([]),
    passthrough: z.enum(["callers-key", "own-key"]).optional(),
    headers: z
      .record(
        z.string().regex(/^[A-Za-z0-9-]{1,64}$/),
        z
          .string()
          .max(1024)
          .regex(/^[\x20-\x7e]*$/),
      )
      .default({}),
  })
  .strict();

/** Headers that carry credentials or frame the request: not to be set beside `apiKey`. */
const FORBIDDEN_HEADERS = /^(host|authorization|x-api-key|cookie|connection|content-length|transfer-encoding|proxy-.*)$/i;

/** `GET|PUT|DELETE /admin/providers[/{id}]`. Credentials go in and never come out. */
export function providerRoutes(admin: AdminParts): Hono {
  const app = new Hono();

  app.get("/", async (context) => {
    const table = await admin.directory.table();
    const providers = [...table.providers.values()].map((provider) => ({
      id: provider.id,
      displayName: provider.displayName,
      baseUrl: provider.baseUrl,
      kind: provider.kind,
      models: provider.models,
      source: provider.source,
      hasApiKey: provider.apiKey !== undefined,
      isBreakerOpen: admin.parts.caller.isOpen(provider.id),
    }));
    return context.json({ providers });
  });

  app.get("/:id", async (context) => {
    const id = context.req.param("id");
    const row = (await admin.store.listProviders()).find((provider) => provider.id === id);
    if (!row) return refuse(context, 404, "There is no such provider.");
    return context.json(show(id, row.settings, row.sealedKey !== null, row.updatedAt));
  });

  app.put("/:id", async (context) => {
    const id = context.req.param("id");
    if (!ID.test(id) || TAKEN.has(id.toLowerCase()))
      return refuse(context, 400, "The id must be 1 to 64 letters, digits, dots, dashes or underscores.", "id");
    const read = await readJson(context, inputSchema);
    if ("response" in read) return read.response;
    const { apiKey, ...settings } = read.value;
    const badHeader = Object.keys(settings.headers).find((name) => FORBIDDEN_HEADERS.test(name));
    if (badHeader) return refuse(context, 400, "The field headers must not set credentials or framing headers.", "headers");
    settings.baseUrl = settings.baseUrl.trim();
    const problem = await admin.guard.check(settings.baseUrl);
    if (problem) return refuse(context, 400, `The field baseUrl ${problem}.`, "baseUrl");
    settings.baseUrl = new URL(settings.baseUrl).href.replace(/\/+$/, "");
    const known = (await admin.store.listProviders()).find((provider) => provider.id === id);
    // A key that is left out stays, but never moves to another host: whoever may edit addresses must not get at keys that way.
    if (apiKey === undefined && known?.sealedKey && originOf(known.settings) !== new URL(settings.baseUrl).origin)
      return refuse(context, 400, "The baseUrl points to another host: send the apiKey for it too.", "apiKey");
    const sealedKey = apiKey === undefined ? (known?.sealedKey ?? null) : apiKey === null ? null : admin.sealer.seal(apiKey, slotOf(id));
    const updatedAt = Date.now();
    await admin.store.putProvider({ id, settings: JSON.stringify(settings), sealedKey, updatedAt });
    const { propagated } = await admin.directory.invalidate();
    admin.parts.caller.reset(id);
    await audit(admin, context, "provider.save", { id, keyChanged: apiKey !== undefined, propagated });
    return context.json({ ...show(id, JSON.stringify(settings), sealedKey !== null, updatedAt), propagated });
  });

  app.delete("/:id", async (context) => {
    const id = context.req.param("id");
    const wasThere = await admin.store.deleteProvider(id);
    const { propagated } = await admin.directory.invalidate();
    if (!wasThere) return refuse(context, 404, "There is no such provider.");
    await audit(admin, context, "provider.delete", { id, propagated });
    return context.json({ id, deleted: true, propagated });
  });

  return app;
}

function originOf(settings: string): string | undefined {
  const { baseUrl } = storedSettingsSchema.parse(JSON.parse(settings));
  return URL.canParse(baseUrl) ? new URL(baseUrl).origin : undefined;
}

function show(id: string, settings: string, hasApiKey: boolean, updatedAt: number): Record<string, unknown> {
  return { id, ...storedSettingsSchema.parse(JSON.parse(settings)), hasApiKey, updatedAt };
}
