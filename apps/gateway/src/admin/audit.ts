import type { AdminParts } from "./admin-parts.ts";

/**
 * Writes down who changed what: as a log line, which always works, and in the database of record, which may be away. Details carry names and
 * counts, never credentials or cached content.
 */
export async function audit(
  admin: Pick<AdminParts, "store" | "parts">,
  action: string,
  detail: Readonly<Record<string, unknown>>,
): Promise<void> {
  admin.parts.log.info({ audit: action, ...detail }, "audit");
  try {
    await admin.store.addAudit({ at: Date.now(), actor: "admin", action, detail: JSON.stringify(detail) });
  } catch {
    admin.parts.log.warn({ audit: action }, "the audit line could not be stored in the database");
  }
}
