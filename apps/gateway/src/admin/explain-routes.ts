import type { Endpoint } from "@larder/cache-core/keys";
import { Hono } from "hono";
import { z } from "zod";
import { HttpError } from "../http/http-error.ts";
import type { AdminParts } from "./admin-parts.ts";
import { readJson, refuse } from "./read-json.ts";

const ENDPOINTS: ReadonlyMap<string, Endpoint> = new Map([
  ["/v1/chat/completions", "chat"],
  ["/v1/completions", "completion"],
  ["/v1/embeddings", "embedding"],
  ["/v1/images/generations", "image"],
  ["/v1/responses", "responses"],
  ["/v1/messages", "messages"],
]);

const inputSchema = z
  .object({
    body: z.record(z.string(), z.unknown()),
    /** The path of the request. */
    endpoint: z.enum([...ENDPOINTS.keys()] as [string, ...string[]]).default("/v1/chat/completions"),
    tenant: z.string().min(1).max(256).default("default"),
    namespace: z.string().max(128).default(""),
    headers: z.record(z.string(), z.string()).default({}),
  })
  .strict();

/** `POST /admin/cache/explain`: why a request has the key it has; `GET /admin/cache/near-misses`: which fields keep requests apart. */
export function explainRoutes(admin: AdminParts): Hono {
  const app = new Hono();
  const { directory } = admin;
  const { planner, answers } = admin.parts;

  app.post("/explain", async (context) => {
    const bare = await readBare(context.req.raw.clone());
    const read = bare ? { value: inputSchema.parse({ body: bare }) } : await readJson(context, inputSchema);
    if ("response" in read) return read.response;
    const { endpoint: path, tenant, namespace, headers, body } = read.value;
    const endpoint = ENDPOINTS.get(path) as Endpoint;
    const bytes = Buffer.from(JSON.stringify(body));
    try {
      const table = await directory.table();
      const explained = planner.explain(endpoint, tenant, namespace, headers, bytes, table);
      const found = explained.key === "" ? { status: "miss" as const } : await answers.lookup(explained.key);
      return context.json({
        ...explained,
        entry: found.status === "miss" ? { status: "miss" } : { status: found.status, ageMs: found.ageMs, remainingMs: found.remainingMs },
      });
    } catch (error) {
      if (error instanceof HttpError) return refuse(context, 400, error.message, error.param ?? null);
      throw error;
    }
  });

  app.get("/near-misses", (context) => context.json({ fields: planner.recent.nearMisses() }));

  return app;
}

/** A request body by itself, without the wrapping that names endpoint and tenant: what people paste. */
async function readBare(request: Request): Promise<Record<string, unknown> | undefined> {
  try {
    const parsed = (await request.json()) as Record<string, unknown>;
    return "model" in parsed && !("body" in parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}
