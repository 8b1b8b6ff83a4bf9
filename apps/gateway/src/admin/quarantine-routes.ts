import { CacheError } from "@larder/cache-core";
import { Hono } from "hono";
import { z } from "zod";
import type { AdminParts } from "./admin-parts.ts";
import { audit } from "./audit.ts";
import { readJson, refuse } from "./read-json.ts";

const acceptSchema = z.strictObject({ keys: z.array(z.string().min(1).max(2_000)).min(1).max(1_000) });
const OFF = "Provider sync is off: configure an upstream or LARDER_SYNC_SOURCES.";

/** `GET /admin/sync/quarantine`, what sync holds back and why, and `POST /admin/sync/accept`, which believes some of it: `{ keys }`, all of them or none. */
export function quarantineRoutes(admin: AdminParts): Hono {
  const app = new Hono();
  app.get("/sync/quarantine", async (context) => context.json({ quarantine: admin.sync ? await admin.sync.quarantine() : [] }));
  app.post("/sync/accept", async (context) => {
    const { sync } = admin;
    if (!sync) return refuse(context, 409, OFF);
    const read = await readJson(context, acceptSchema);
    if ("response" in read) return read.response;
    const { keys } = read.value;
    try {
      const accepted = await sync.accept(keys);
      await audit(admin, context, "sync.accept", { accepted: keys.slice(0, 20), count: keys.length, version: accepted.version ?? null });
      return context.json(accepted);
    } catch (error) {
      if (!CacheError.is(error) || error.code !== "ERR_CACHE_INVALID_REQUEST") throw error;
      return refuse(context, 409, `Nothing was accepted: ${error.message.replace(/^\[\w+] /, "")}.`, "keys");
    }
  });
  return app;
}
