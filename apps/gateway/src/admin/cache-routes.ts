import type { InvalidationResult } from "@larder/cache-core";
import { Hono } from "hono";
import { z } from "zod";
import type { AnswerCache } from "../caching/answer-cache.ts";
import type { AdminParts } from "./admin-parts.ts";
import { audit } from "./audit.ts";
import { readJson } from "./read-json.ts";
import { readStats } from "./stats.ts";

/** Keys that are dropped together. */
const KEYS_AT_A_TIME = 128;

const text = z.string().min(1).max(1024);
const invalidationSchema = z.union(
  [
    z.object({ key: text }).strict(),
    z.object({ keys: z.array(text).min(1).max(10_000) }).strict(),
    z.object({ tag: text }).strict(),
    z.object({ tenant: text }).strict(),
    z.object({ model: text }).strict(),
    z.object({ pattern: text }).strict(),
    z.object({ all: z.literal(true) }).strict(),
  ],
  { error: 'must have one of key, keys (a list of 1 to 10000), tag, tenant, model and pattern, or "all": true, and nothing else' },
);
type Invalidation = z.output<typeof invalidationSchema>;

/** `GET /admin/cache/stats` and `POST /admin/cache/invalidate`. */
export function cacheRoutes(admin: AdminParts): Hono {
  const app = new Hono();

  app.get("/stats", async (context) => context.json(await readStats(admin)));

  app.post("/invalidate", async (context) => {
    const read = await readJson(context, invalidationSchema);
    if ("response" in read) return read.response;
    const results = await invalidate(admin, read.value);
    const dropped = describe(read.value);
    const propagated = results.every((result) => result.propagated);
    const pending = results.at(-1)?.pending ?? 0;
    await audit(admin, context, "cache.invalidate", { ...dropped, propagated });
    return context.json({ dropped, propagated, pending });
  });

  return app;
}

async function invalidate({ parts: { answers } }: AdminParts, wanted: Invalidation): Promise<InvalidationResult[]> {
  if ("key" in wanted) return [await answers.invalidate(wanted.key)];
  if ("keys" in wanted) return invalidateKeys(answers, wanted.keys);
  if ("tag" in wanted) return [await answers.invalidateTag(`tag:${wanted.tag}`)];
  if ("tenant" in wanted) return [await answers.invalidateTag(`tenant:${wanted.tenant}`)];
  if ("model" in wanted) return [await answers.invalidateTag(`model:${wanted.model}`)];
  if ("pattern" in wanted) return [await answers.invalidateMatching(wanted.pattern)];
  return [await answers.invalidateAll()];
}

/** Some at a time: all at once are more than may wait for the other processes to hear of them, and the rest would be told later. */
async function invalidateKeys(answers: AnswerCache, keys: readonly string[]): Promise<InvalidationResult[]> {
  const results: InvalidationResult[] = [];
  for (let from = 0; from < keys.length; from += KEYS_AT_A_TIME)
    results.push(...(await Promise.all(keys.slice(from, from + KEYS_AT_A_TIME).map((key) => answers.invalidate(key)))));
  return results;
}

function describe(wanted: Invalidation): Record<string, unknown> {
  return "keys" in wanted ? { keys: wanted.keys.length } : { ...wanted };
}
