import type { IncomingMessage } from "node:http";
import type { Context } from "hono";
import type { AdminParts } from "./admin-parts.ts";

/**
 * Writes down who changed what: as a log line, which always works, and in the database of record, which may be away. Details carry names and
 * counts, never credentials or cached content.
 */
export async function audit(
  admin: Pick<AdminParts, "store" | "parts">,
  context: Context,
  action: string,
  detail: Readonly<Record<string, unknown>>,
): Promise<void> {
  const clientAddress = addressOf(admin, context);
  admin.parts.log.info({ audit: action, ...detail, clientAddress }, "audit");
  try {
    await admin.store.addAudit({ at: Date.now(), actor: "admin", action, detail: JSON.stringify({ ...detail, clientAddress }) });
  } catch {
    admin.parts.log.warn({ audit: action }, "the audit line could not be stored in the database");
  }
}

/** Where the request came from, as far as proxies are trusted to tell. */
function addressOf({ parts }: Pick<AdminParts, "parts">, context: Context): string | undefined {
  const { incoming } = (context.env ?? {}) as { readonly incoming?: IncomingMessage };
  return parts.trust.clientOf({ peerAddress: incoming?.socket.remoteAddress, header: (name) => context.req.header(name) }).address;
}
