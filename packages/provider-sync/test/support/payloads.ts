import { existsSync } from "node:fs";

/** Stored upstream bodies beside the repository. They may not be shipped; tests that need them say so when they skip. */
const folder = new URL("../../../../../shared/provider-payloads/", import.meta.url);

/** Whether the stored bodies are there. */
export const hasPayloads: boolean = existsSync(folder);

if (!hasPayloads)
  console.warn("provider-sync: the stored upstream bodies (../shared/provider-payloads) are not here; tests that replay them are skipped");

/** The `file:` URL of a stored body. */
export function payloadUrl(path: string): string {
  return new URL(path, folder).href;
}
