import { Hono } from "hono";
import { bearerIn } from "../security/authenticator.ts";
import { equalSecrets } from "../security/digest.ts";
import type { AdminParts } from "./admin-parts.ts";
import { cacheRoutes } from "./cache-routes.ts";
import { explainRoutes } from "./explain-routes.ts";
import { keyRoutes } from "./key-routes.ts";
import { providerRoutes } from "./provider-routes.ts";
import { quarantineRoutes } from "./quarantine-routes.ts";
import { refuse } from "./read-json.ts";
import { RouteMethods } from "./route-methods.ts";
import { syncRoutes } from "./sync-routes.ts";
import { transferRoutes } from "./transfer-routes.ts";

/**
 * The administration. One check stands in front of every route, present and future: without the admin token the answer is 401 whether a
 * route exists or not.
 */
export function createAdminApp(admin: AdminParts): Hono {
  const app = new Hono();
  app.use("*", async (context, next) => {
    if (!equalSecrets(bearerIn(context.req.header("authorization")) ?? "", admin.adminToken)) {
      context.header("www-authenticate", "Bearer");
      return refuse(context, 401, "The admin token is missing or wrong: send it as `Authorization: Bearer <token>`.");
    }
    context.header("cache-control", "no-store");
    context.header("x-content-type-options", "nosniff");
    return next();
  });
  app.route("/admin/providers", providerRoutes(admin));
  app.route("/admin/keys", keyRoutes(admin));
  app.route("/admin/cache", cacheRoutes(admin));
  app.route("/admin/cache", explainRoutes(admin));
  app.route("/admin/cache", transferRoutes(admin));
  app.route("/admin", syncRoutes(admin));
  app.route("/admin", quarantineRoutes(admin));
  app.get("/admin/audit", async (context) => context.json({ entries: await admin.store.listAudit(200) }));
  const methods = new RouteMethods(app.routes);
  app.notFound((context) => {
    const allowed = methods.of(context.req.path);
    if (allowed.length === 0) return refuse(context, 404, "There is no such administrative route.");
    context.header("allow", allowed.join(", "));
    return refuse(context, 405, "This route is not used with this method; the header `allow` tells which are.");
  });
  app.onError((error, context) => {
    const isStore = error.message === "the database of record is not available";
    if (!isStore) admin.parts.log.error({ error }, "an administrative request failed");
    return refuse(context, 503, isStore ? "The database of record is not available." : "The request failed; the log tells more.");
  });
  return app;
}
