import { randomBytes, randomUUID } from "node:crypto";
import type { InvalidationResult } from "@larder/cache-core";
import { Hono } from "hono";
import { z } from "zod";
import { limitsSchema } from "../config/schema.ts";
import { hashKey } from "../security/authenticator.ts";
import type { AdminParts } from "./admin-parts.ts";
import { audit } from "./audit.ts";
import { orForget } from "./or-forget.ts";
import { readJson, refuse } from "./read-json.ts";

/** What every virtual key begins with: scanners for leaked keys look for such a prefix. */
const PREFIX = "larder_sk_";

/** What an id looks like: PostgreSQL refuses others (a NUL in them), which would look as if it were away. */
const UUID = /^[0-9a-f-]{36}$/;

const inputSchema = z
  .object({
    tenant: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@:-]{0,127}$/, {
      message: "must be 1 to 128 letters, digits or . _ @ : -, beginning with a letter or digit",
    }),
    name: z
      .string()
      .max(200)
      .regex(/^[^\p{Cc}]*$/u, { message: "must have no control characters" })
      .default(""),
    limits: limitsSchema.default({}),
  })
  .strict();

/** `GET|POST|DELETE /admin/keys`. A key is shown once, when it is made; what is kept is its hash. */
export function keyRoutes(admin: AdminParts): Hono {
  const app = new Hono();

  app.get("/", async (context) => {
    const keys = (await admin.store.listKeys()).map(({ hash: _hash, limits, ...key }) => ({
      ...key,
      limits: JSON.parse(limits) as unknown,
    }));
    return context.json({ keys });
  });

  app.post("/", async (context) => {
    const read = await readJson(context, inputSchema);
    if ("response" in read) return read.response;
    const { tenant, name, limits } = read.value;
    const key = `${PREFIX}${randomBytes(32).toString("base64url")}`;
    const id = randomUUID();
    const hash = hashKey(key);
    const hint = key.slice(PREFIX.length, PREFIX.length + 4);
    const createdAt = Date.now();
    await admin.store.addKey({ id, hash, tenant, name, limits: JSON.stringify(limits), hint, createdAt });
    // Somebody may have tried the key before it was known, by chance or not: that is forgotten.
    await admin.authenticator.invalidate(hash);
    await audit(admin, context, "key.create", { id, tenant });
    return context.json({ id, key, tenant, name, limits, hint, createdAt }, 201);
  });

  app.delete("/:id", async (context) => {
    const id = context.req.param("id");
    const known = UUID.test(id) ? await admin.store.findKeyById(id) : undefined;
    if (!known) return refuse(context, 404, "There is no such key.");
    const forget = (): Promise<InvalidationResult> => admin.authenticator.invalidate(known.hash);
    const wasThere = await orForget(admin.store.deleteKey(id), forget);
    const { propagated } = await forget();
    if (!wasThere) return refuse(context, 404, "There is no such key.");
    await audit(admin, context, "key.delete", { id, tenant: known.tenant, propagated });
    return context.json({ id, deleted: true, propagated });
  });

  return app;
}
