import { Hono } from "hono";
import { z } from "zod";
import type { StoredProvider } from "../storage/gateway-store.ts";
import type { Provider } from "../upstream/provider.ts";
import { storedSettingsSchema } from "../upstream/provider-directory.ts";
import { openSecrets, type ProviderSecrets, secretsToText, slotOf } from "../upstream/provider-secrets.ts";
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
      .optional(),
  })
  .strict();

/** What stands for a header's value in answers. */
const HIDDEN = "[redacted]";
/** Headers that carry credentials or frame the request: not to be set beside `apiKey`. */
const FORBIDDEN_HEADERS =
  /^(host|authorization|x-api-key|cookie|connection|keep-alive|upgrade|expect|te|trailer|transfer-encoding|content-(length|type|encoding)|accept-encoding|proxy-.*)$/i;

/** `GET|PUT|DELETE /admin/providers[/{id}]`. Credentials go in and never come out. */
export function providerRoutes(admin: AdminParts): Hono {
  const app = new Hono();

  app.get("/", async (context) => {
    const table = await admin.directory.table();
    const providers = [...table.providers.values()].map((provider) => describe(admin, provider));
    return context.json({ providers });
  });

  app.get("/:id", async (context) => {
    const id = context.req.param("id");
    const row = (await admin.store.listProviders()).find((provider) => provider.id === id);
    if (row) return context.json(show(row));
    const configured = (await admin.directory.table()).providers.get(id);
    return configured ? context.json(describe(admin, configured)) : refuse(context, 404, "There is no such provider.");
  });

  app.put("/:id", async (context) => {
    const id = context.req.param("id");
    if (!ID.test(id) || TAKEN.has(id.toLowerCase()))
      return refuse(context, 400, "The id must be 1 to 64 letters, digits, dots, dashes or underscores.", "id");
    const read = await readJson(context, inputSchema);
    if ("response" in read) return read.response;
    const { apiKey, headers, ...settings } = read.value;
    const badHeader = Object.keys(headers ?? {}).find((name) => FORBIDDEN_HEADERS.test(name));
    if (badHeader) return refuse(context, 400, "The field headers must not set credentials or framing headers.", "headers");
    if (Object.values(headers ?? {}).includes(HIDDEN))
      return refuse(
        context,
        400,
        "A header's value is hidden, not sent: leave the field headers out to keep them, or send their values.",
        "headers",
      );
    settings.baseUrl = settings.baseUrl.trim();
    const problem = await admin.guard.check(settings.baseUrl);
    if (problem) return refuse(context, 400, `The field baseUrl ${problem}.`, "baseUrl");
    settings.baseUrl = new URL(settings.baseUrl).href.replace(/\/+$/, "");
    const known = (await admin.store.listProviders()).find((provider) => provider.id === id);
    const kept = keptSecrets(admin, known);
    if (!kept && (apiKey === undefined || headers === undefined))
      return refuse(context, 400, "What was sealed before does not open with this master key: send apiKey and headers.", "apiKey");
    // What is left out stays, but never moves to another host: whoever may edit addresses must not get at keys that way.
    const isMoved = known !== undefined && originOf(known.settings) !== new URL(settings.baseUrl).origin;
    if (isMoved && apiKey === undefined && kept?.apiKey !== undefined)
      return refuse(context, 400, "The baseUrl points to another host: send the apiKey for it too.", "apiKey");
    if (isMoved && headers === undefined && Object.keys(kept?.headers ?? {}).length > 0)
      return refuse(context, 400, "The baseUrl points to another host: send the headers for it too.", "headers");
    const secrets = { apiKey: apiKey === undefined ? kept?.apiKey : (apiKey ?? undefined), headers: headers ?? kept?.headers ?? {} };
    const saved = toRow(admin, id, settings, secrets);
    await admin.store.putProvider(saved);
    const { propagated } = await admin.directory.invalidate();
    admin.parts.caller.reset(id);
    await audit(admin, context, "provider.save", { id, keyChanged: apiKey !== undefined, propagated });
    return context.json({ ...show(saved), propagated });
  });

  app.delete("/:id", async (context) => {
    const id = context.req.param("id");
    if (!ID.test(id)) return refuse(context, 404, "There is no such provider.");
    const wasThere = await admin.store.deleteProvider(id);
    const { propagated } = await admin.directory.invalidate();
    if (!wasThere) return refuse(context, 404, "There is no such provider.");
    await audit(admin, context, "provider.delete", { id, propagated });
    return context.json({ id, deleted: true, propagated });
  });

  return app;
}

/** A provider as requests are routed to it, whoever has configured it. */
function describe(admin: AdminParts, provider: Provider): Record<string, unknown> {
  return {
    id: provider.id,
    displayName: provider.displayName,
    baseUrl: provider.baseUrl,
    kind: provider.kind,
    models: provider.models,
    source: provider.source,
    hasApiKey: provider.apiKey !== undefined,
    ...(provider.passthrough ? { passthrough: provider.passthrough } : {}),
    isBreakerOpen: admin.parts.caller.isOpen(provider.id),
  };
}

function originOf(settings: string): string | undefined {
  const { baseUrl } = storedSettingsSchema.parse(JSON.parse(settings));
  return URL.canParse(baseUrl) ? new URL(baseUrl).origin : undefined;
}

/** What was sealed of a saved provider; `undefined` when it does not open. */
function keptSecrets({ sealer }: AdminParts, known: StoredProvider | undefined): ProviderSecrets | undefined {
  if (!known) return { apiKey: undefined, headers: {} };
  try {
    const { apiKey, headers } = openSecrets(sealer, known.id, known.sealedKey);
    return { apiKey, headers: { ...storedSettingsSchema.parse(JSON.parse(known.settings)).headers, ...headers } };
  } catch {
    return undefined;
  }
}

function toRow({ sealer }: AdminParts, id: string, settings: object, secrets: ProviderSecrets): StoredProvider {
  const text = secretsToText(secrets);
  const told = { ...settings, headerNames: Object.keys(secrets.headers), hasApiKey: secrets.apiKey !== undefined };
  return { id, settings: JSON.stringify(told), sealedKey: text === null ? null : sealer.seal(text, slotOf(id)), updatedAt: Date.now() };
}

/** A saved provider without what is secret. */
function show({ id, settings, sealedKey, updatedAt }: StoredProvider): Record<string, unknown> {
  const { headers, headerNames, hasApiKey = sealedKey !== null, ...told } = storedSettingsSchema.parse(JSON.parse(settings));
  const names = [...Object.keys(headers), ...headerNames];
  return { id, ...told, headers: Object.fromEntries(names.map((name) => [name, HIDDEN])), hasApiKey, updatedAt };
}
