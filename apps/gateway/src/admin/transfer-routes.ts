import { setImmediate as nextTurn } from "node:timers/promises";
import { type Context, Hono } from "hono";
import { stream } from "hono/streaming";
import type { AdminParts } from "./admin-parts.ts";
import { audit } from "./audit.ts";
import { EntryTransfer, type Imported } from "./entry-transfer.ts";
import { refuse } from "./read-json.ts";
import { readLines } from "./read-lines.ts";

/** Bytes of the longest line taken in: an entry of 64 MiB in base64. */
const MAX_LINE = 96 * 1024 * 1024;
/** Characters of lines that are taken in together, at most, unless one line is longer. */
const BATCH_LENGTH = 1024 * 1024;
/** Characters of lines that are written before others have their turn: a reader that keeps up never makes it wait. */
const TURN_LENGTH = 256 * 1024;

/** `GET /admin/cache/export` and `POST /admin/cache/import`: the entries in memory as one JSON object per line, to warm another gateway up. */
export function transferRoutes(admin: AdminParts): Hono {
  const app = new Hono();
  const { answers, settings } = admin.parts;
  const transfer = new EntryTransfer(answers, admin.survey, settings.redisUrl !== undefined);

  app.get("/export", async (context) => {
    await audit(admin, context, "cache.export", {});
    const holdings = await transfer.holdings();
    context.header("content-type", "application/x-ndjson");
    return stream(context, async (out) => {
      let length = 0;
      for await (const line of transfer.lines(holdings)) {
        if (out.aborted) return;
        await out.write(`${line}\n`);
        length += line.length;
        if (length < TURN_LENGTH) continue;
        length = 0;
        await nextTurn();
      }
    });
  });

  app.post("/import", (context) => transfer.importing((take) => takeIn(admin, context, take)));

  return app;
}

/** What has been taken in stays, and has its line in the audit trail, also when the rest does not come. */
async function takeIn(admin: AdminParts, context: Context, take: (lines: readonly string[]) => Promise<Imported[]>): Promise<Response> {
  const { body } = context.req.raw;
  if (!body) return refuse(context, 400, "The body is empty.");
  const counts: Record<Imported, number> = { imported: 0, expired: 0, refused: 0, dropped: 0 };
  let lines: string[] = [];
  let length = 0;
  const flush = async (): Promise<void> => {
    for (const outcome of await take(lines)) counts[outcome] += 1;
    lines = [];
    length = 0;
  };
  let isWhole = true;
  try {
    for await (const line of readLines(body as unknown as AsyncIterable<Uint8Array>, MAX_LINE)) {
      if (line === undefined) counts.refused += 1;
      else if (line.trim() !== "") {
        lines.push(line);
        length += line.length;
      }
      if (length >= BATCH_LENGTH) await flush();
    }
  } catch {
    isWhole = false;
  }
  await flush();
  await audit(admin, context, "cache.import", { ...counts, isWhole });
  return isWhole ? context.json(counts) : refuse(context, 400, "The body broke off.");
}
