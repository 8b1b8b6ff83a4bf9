import { readFile, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { publicUrl } from "./public-url.ts";
import { SourceError } from "./source-error.ts";

/** A body beyond its cap. */
export function bodyTooLarge(url: string, maxBytes: number): SourceError {
  return new SourceError("too-large", `the body of ${publicUrl(url)} is larger than ${maxBytes} bytes`);
}

/** The machine-readable part of an error: `fetch` failures quote URLs with their keys in their messages. */
export function errorCode(error: unknown): string {
  for (let current = error, depth = 0; current && depth < 4; depth += 1) {
    const { code, cause } = current as { code?: unknown; cause?: unknown };
    if (typeof code === "string") return code;
    current = cause;
  }
  return "the request failed";
}

/** The stored body behind a `file:` URL. @throws {SourceError} with the reason */
export async function readFileBody(url: string, maxBytes: number, signal: AbortSignal): Promise<Uint8Array> {
  try {
    const path = fileURLToPath(url);
    const stats = await stat(path);
    // A pipe or a device may have no end, and tells a size of 0.
    if (!stats.isFile()) throw new SourceError("network", `cannot read the file of ${publicUrl(url)}: it is no regular file`);
    if (stats.size > maxBytes) throw bodyTooLarge(url, maxBytes);
    return await readFile(path, { signal });
  } catch (error) {
    if (signal.aborted) throw new SourceError("aborted", "the run was cancelled");
    if (SourceError.is(error)) throw error;
    throw new SourceError("network", `cannot read the file of ${publicUrl(url)}: ${errorCode(error)}`);
  }
}
