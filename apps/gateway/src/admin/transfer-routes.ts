import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import { Hono } from "hono";
import { stream } from "hono/streaming";
import { z } from "zod";
import { StoredAnswer } from "../caching/stored-answer.ts";
import type { AdminParts } from "./admin-parts.ts";
import { audit } from "./audit.ts";
import { refuse } from "./read-json.ts";

const lineSchema = z.object({
  key: z.string().regex(/^1:[0-9a-f]{16}:[a-z]+:.{1,200}:[0-9a-f]{64}$/),
  tags: z.array(z.string().max(512)).max(64),
  /** Epoch milliseconds. */
  expiresAt: z.number(),
  /** Meta and body as the shared tier keeps them, in base64. */
  entry: z.string(),
});
/** Longest line taken in: an entry of 64 MiB in base64. */
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
    for await (const line of createInterface({
      input: Readable.fromWeb(body as NodeReadableStream),
      crlfDelay: Number.POSITIVE_INFINITY,
    })) {
      if (line.trim() !== "") counts[await importLine(admin, line)] += 1;
    }
    await audit(admin, context, "cache.import", counts);
    return context.json(counts);
  });

  return app;
}

async function importLine({ parts: { answers } }: AdminParts, line: string): Promise<"imported" | "expired" | "refused"> {
  try {
    if (line.length > MAX_LINE) return "refused";
    const { key, tags, expiresAt, entry } = lineSchema.parse(JSON.parse(line));
    const answer = StoredAnswer.decode(Buffer.from(entry, "base64"));
    const ttlMs = expiresAt - Date.now();
    if (ttlMs <= 0) return "expired";
    return (await answers.set(key, answer, { ttlMs, tags })) ? "imported" : "refused";
  } catch {
    return "refused";
  }
}
