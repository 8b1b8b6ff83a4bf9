import { partitionOf } from "@larder/cache-core/keys";
import { Hono } from "hono";
import { stream } from "hono/streaming";
import { z } from "zod";
import { answerFamilies } from "../answers/families.ts";
import { parseObject } from "../answers/json.ts";
import { MAX_TTL_MS } from "../caching/cache-controls.ts";
import { StoredAnswer } from "../caching/stored-answer.ts";
import type { AdminParts } from "./admin-parts.ts";
import { audit } from "./audit.ts";
import { refuse } from "./read-json.ts";
import { readLines } from "./read-lines.ts";

const lineSchema = z.object({
  key: z.string().regex(/^1:[0-9a-f]{16}:[a-z]+:.{1,200}:[0-9a-f]{64}$/),
  tags: z.array(z.string().max(512)).max(64),
  /** Epoch milliseconds. */
  expiresAt: z.number(),
  /** Meta and body as the shared tier keeps them, in base64. */
  entry: z.string(),
});
/** Bytes of the longest line taken in: an entry of 64 MiB in base64. */
const MAX_LINE = 96 * 1024 * 1024;

/** `GET /admin/cache/export` and `POST /admin/cache/import`: the entries in memory as one JSON object per line, to warm another gateway up. */
export function transferRoutes(admin: AdminParts): Hono {
  const app = new Hono();
  const { answers } = admin.parts;

  app.get("/export", async (context) => {
    await audit(admin, context, "cache.export", {});
    context.header("content-type", "application/x-ndjson");
    return stream(context, async (out) => {
      for (const { key, answer, tags } of answers.entries()) {
        const expiresAt = answer.meta.createdAt + answer.meta.ttlMs;
        await out.write(`${JSON.stringify({ key, tags, expiresAt, entry: answer.encode().toString("base64") })}\n`);
      }
    });
  });

  app.post("/import", async (context) => {
    const { body } = context.req.raw;
    if (!body) return refuse(context, 400, "The body is empty.");
    const counts = { imported: 0, expired: 0, refused: 0 };
    for await (const line of readLines(body as unknown as AsyncIterable<Uint8Array>, MAX_LINE))
      if (line?.trim() !== "") counts[await importLine(admin, line)] += 1;
    await audit(admin, context, "cache.import", counts);
    return context.json(counts);
  });

  return app;
}

async function importLine({ parts: { answers } }: AdminParts, line: string | undefined): Promise<"imported" | "expired" | "refused"> {
  try {
    if (line === undefined) return "refused";
    const { key, tags, expiresAt, entry } = lineSchema.parse(JSON.parse(line));
    const answer = StoredAnswer.decode(Buffer.from(entry, "base64"));
    const { owner, model, createdAt, ttlMs } = answer.meta;
    const remainingMs = Math.min(expiresAt, createdAt + ttlMs) - Date.now();
    if (remainingMs <= 0) return "expired";
    if (remainingMs > MAX_TTL_MS || !isAnswerTo(key, answer)) return "refused";
    // Whatever the line says, it can be dropped by tenant and by model.
    const allTags = [...new Set([...tags, `tenant:${owner}`, `model:${model}`])];
    return (await answers.set(key, answer, { ttlMs: remainingMs, tags: allTags })) ? "imported" : "refused";
  } catch {
    return "refused";
  }
}

/** Whether an entry is what requests with its key are answered with: its owner's, and an answer of that endpoint that would have been stored here. */
function isAnswerTo(key: string, { meta, body }: StoredAnswer): boolean {
  const [, partition, endpoint = ""] = key.split(":", 3);
  if (partition !== partitionOf(meta.owner)) return false;
  if (endpoint === "embedding") return meta.format !== "json" && body.length > 0 && body.length % (meta.format === "f64" ? 8 : 4) === 0;
  const family = answerFamilies.get(endpoint);
  const parsed = meta.format === "json" && family ? parseObject(body.toString("utf8")) : undefined;
  return parsed !== undefined && family?.refusalToStore(parsed) === undefined;
}
