import type { Endpoint } from "@larder/cache-core/keys";
import { Hono } from "hono";
import { z } from "zod";
import { parseObject } from "../answers/json.ts";
import { type CacheControls, readControls } from "../caching/cache-controls.ts";
import { nearMisses, type RecentRequest } from "../caching/recent-requests.ts";
import { type ExplainedRequest, withSearch } from "../caching/request-plan.ts";
import type { Settings } from "../config/schema.ts";
import { isUncertain } from "../endpoints/is-uncertain.ts";
import { narrowControls } from "../endpoints/narrow-controls.ts";
import { HttpError } from "../http/http-error.ts";
import { memberOf } from "../upstream/rewrite-body.ts";
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
    /** In place of that of the headers. */
    namespace: z.string().max(128).default(""),
    headers: z.record(z.string(), z.string()).default({}),
    /** The query of the request, with its question mark. */
    query: z
      .string()
      .max(8192)
      .regex(/^(\?|$)/)
      .default(""),
  })
  .strict();

/** `POST /admin/cache/explain`: why a request has the key it has; `GET /admin/cache/near-misses`: which fields keep requests apart. */
export function explainRoutes(admin: AdminParts): Hono {
  const app = new Hono();
  const { directory, survey } = admin;
  const recentOfAll = async (): Promise<RecentRequest[]> => ((await survey.ask("recent-requests")) as RecentRequest[][]).flat();
  const { planner, answers, settings } = admin.parts;

  app.post("/explain", async (context) => {
    const sent = Buffer.from(await context.req.text());
    const isBare = isBareRequest(sent);
    const read = isBare ? { value: inputSchema.parse({ body: {} }) } : await readJson(context, inputSchema);
    if ("response" in read) return read.response;
    const { endpoint: path, tenant, query } = read.value;
    // As it is written: what is parsed and written again has lost long numbers and names that come twice, and has another key.
    const bytes = isBare ? sent : (memberOf(sent, "body") as Buffer);
    // As they arrive in a request, however somebody has written them here.
    const headers = Object.fromEntries(Object.entries(read.value.headers).map(([name, value]) => [name.toLowerCase(), value]));
    const endpoint = ENDPOINTS.get(path) as Endpoint;
    try {
      const controls = readControls({ headers: () => headers }, admin.parts.controls);
      const namespace = withSearch(read.value.namespace || controls.namespace, query);
      const table = await directory.table();
      const known = await recentOfAll();
      const { itemKeys, judged, ...told } = planner.explain(endpoint, tenant, namespace, headers, bytes, table, known);
      const explained = { ...told, cache: partOf(endpoint, controls, judged, settings) };
      if (endpoint !== "embedding") return context.json({ ...explained, entry: await entryOf(answers, explained.key) });
      const items = await Promise.all(itemKeys.map(async (key) => ({ key, entry: await entryOf(answers, key) })));
      const worst = items.find(({ entry }) => entry.status === "miss") ?? items.find(({ entry }) => entry.status === "stale") ?? items[0];
      return context.json({ ...explained, entry: worst?.entry ?? { status: "miss" }, items });
    } catch (error) {
      if (error instanceof HttpError) return refuse(context, 400, error.message, error.param ?? null);
      throw error;
    }
  });

  app.get("/near-misses", async (context) => context.json({ fields: nearMisses(await recentOfAll()) }));

  return app;
}

/** Whether the cache takes part in such a request, and why not. */
function partOf(
  endpoint: Endpoint,
  controls: CacheControls,
  judged: ExplainedRequest["judged"],
  settings: Settings,
): { readonly isRead: boolean; readonly isWritten: boolean; readonly bypass: string | undefined } {
  const isChance = isUncertain(settings, endpoint, judged, controls);
  const { isRead, isWrite } = narrowControls(controls, judged, isChance);
  const bypass = judged.bypass ?? (isChance ? "not-deterministic" : isRead || isWrite ? undefined : refusedBy(controls));
  return { isRead, isWritten: isWrite, bypass };
}

/** What leaves nothing to the cache of a request that it could take part in. */
function refusedBy({ isRead, isWrite, isDisabled }: CacheControls): string {
  if (isRead || isWrite) return "route";
  return isDisabled ? "mode" : "headers";
}

/** What is stored under a key now. */
async function entryOf(
  answers: AdminParts["parts"]["answers"],
  key: string,
): Promise<{ readonly status: string; readonly ageMs?: number; readonly remainingMs?: number }> {
  const found = await answers.lookup(key);
  return found.status === "miss" ? { status: "miss" } : { status: found.status, ageMs: found.ageMs, remainingMs: found.remainingMs };
}

/** Whether it is a request body by itself, without the wrapping that names endpoint and tenant: what people paste. */
function isBareRequest(sent: Buffer): boolean {
  const parsed = parseObject(sent.toString("utf8"));
  return parsed !== undefined && "model" in parsed && !("body" in parsed);
}
