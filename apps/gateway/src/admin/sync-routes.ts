import { Hono } from "hono";
import type { AdminParts } from "./admin-parts.ts";
import { audit } from "./audit.ts";
import { refuse } from "./read-json.ts";

/** `GET|POST /admin/sync` and `GET /admin/catalog/models|providers`. */
export function syncRoutes(admin: AdminParts): Hono {
  const app = new Hono();
  app.get("/sync", async (context) => context.json(admin.sync ? await admin.sync.status() : { isEnabled: false }));
  app.post("/sync", async (context) => {
    if (!admin.sync) return refuse(context, 409, "Provider sync is off: configure an upstream or LARDER_SYNC_SOURCES.");
    const report = await admin.sync.run();
    await audit(admin, context, "sync.run", { outcome: report.outcome ?? null });
    return context.json(report);
  });
  app.get("/catalog/models", async (context) => context.json({ models: (await admin.sync?.catalogModels()) ?? [] }));
  app.get("/catalog/providers", async (context) => context.json({ providers: (await admin.sync?.providers()) ?? [] }));
  return app;
}
