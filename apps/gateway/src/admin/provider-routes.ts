import { type Context, Hono } from "hono";
import type { StoredProvider } from "../storage/gateway-store.ts";
import type { Provider } from "../upstream/provider.ts";
import { storedSettingsSchema } from "../upstream/provider-directory.ts";
import { secretsToText, slotOf } from "../upstream/provider-secrets.ts";
import type { AdminParts } from "./admin-parts.ts";
import { audit } from "./audit.ts";
import { HIDDEN, type JudgedProvider, judgeProvider, providerInputSchema } from "./judge-provider.ts";
import { orForget } from "./or-forget.ts";
import { readJson, refuse } from "./read-json.ts";

const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** Ids that mean something else in a route or in the configuration. */
const TAKEN: ReadonlySet<string> = new Set(["constructor", "prototype", "sandbox"]);

/** What a save leaves out is kept: of what another save has put there meanwhile, not of what was read before it. Each attempt fails for another that came through. */
const ATTEMPTS = 20;

/** `GET|PUT|DELETE /admin/providers[/{id}]`. Credentials go in and never come out. */
export function providerRoutes(admin: AdminParts): Hono {
  const app = new Hono();

  app.get("/", async (context) => {
    const table = await admin.directory.table();
    const providers = table.all.map((provider) => describe(admin, provider));
    return context.json({ providers });
  });

  app.get("/:id", async (context) => {
    const id = context.req.param("id");
    const row = await findProvider(admin, id);
    if (row && isReadable(row)) return context.json(show(row));
    const routed = (await admin.directory.table()).providers.get(id);
    return routed ? context.json(describe(admin, routed)) : refuse(context, 404, "There is no such provider.");
  });

  app.put("/:id", (context) => saveProvider(admin, context, context.req.param("id")));

  app.delete("/:id", async (context) => {
    const id = context.req.param("id");
    if (!ID.test(id)) return refuse(context, 404, "There is no such provider.");
    const wasThere = await orForget(admin.store.deleteProvider(id), () => admin.directory.invalidate());
    const { propagated } = await admin.directory.changed(id, undefined);
    if (!wasThere) return refuse(context, 404, "There is no such provider.");
    await audit(admin, context, "provider.delete", { id, propagated });
    return context.json({ id, deleted: true, propagated });
  });

  return app;
}

async function saveProvider(admin: AdminParts, context: Context, id: string): Promise<Response> {
  if (!ID.test(id))
    return refuse(
      context,
      400,
      "The id must be 1 to 64 letters, digits, dots, dashes or underscores, beginning with a letter or digit.",
      "id",
    );
  if (TAKEN.has(id.toLowerCase())) return refuse(context, 400, "The id is reserved for something else: take another.", "id");
  const read = await readJson(context, providerInputSchema);
  if ("response" in read) return read.response;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const known = await findProvider(admin, id);
    const judged = await judgeProvider(admin, read.value, known);
    if ("problem" in judged) return refuse(context, 400, judged.problem, judged.field);
    const saved = toRow(admin, id, judged);
    if (!(await orForget(admin.store.putProvider(saved, known), () => admin.directory.invalidate()))) continue;
    const { propagated } = await admin.directory.changed(id, saved);
    await audit(admin, context, "provider.save", { id, keyChanged: read.value.apiKey !== undefined, propagated });
    return context.json({ ...show(saved), propagated });
  }
  return refuse(context, 409, "The provider is being changed by others: try again.");
}

async function findProvider({ store }: AdminParts, id: string): Promise<StoredProvider | undefined> {
  return (await store.listProviders()).find((provider) => provider.id === id);
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
    isBreakerOpen: admin.parts.caller.isOpen(provider),
    ...(provider.isSealed ? { isSealed: true } : {}),
    ...(provider.isUnreadable ? { isUnreadable: true } : {}),
  };
}

function toRow({ sealer }: AdminParts, id: string, { settings, secrets }: JudgedProvider): StoredProvider {
  const text = secretsToText(secrets);
  const told = { ...settings, headerNames: Object.keys(secrets.headers), hasApiKey: secrets.apiKey !== undefined };
  return { id, settings: JSON.stringify(told), sealedKey: text === null ? null : sealer.seal(text, slotOf(id)), updatedAt: Date.now() };
}

function isReadable({ settings }: StoredProvider): boolean {
  try {
    return storedSettingsSchema.safeParse(JSON.parse(settings)).success;
  } catch {
    return false;
  }
}

/** A saved provider without what is secret. @throws when its settings cannot be read */
function show({ id, settings, sealedKey, updatedAt }: StoredProvider): Record<string, unknown> {
  const { headers, headerNames, hasApiKey = sealedKey !== null, ...told } = storedSettingsSchema.parse(JSON.parse(settings));
  const names = [...Object.keys(headers), ...headerNames];
  return { id, ...told, headers: Object.fromEntries(names.map((name) => [name, HIDDEN])), hasApiKey, updatedAt };
}
