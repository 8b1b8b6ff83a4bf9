import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Reads a secret kept in a file, or makes it there once with mode 0600. Two processes that start together agree: the file appears whole by
 * a hard link, which fails for the second one, who then reads the first one's.
 * @param write how a file is written: a test's full disk
 */
export function readOrCreateSecret(
  path: string,
  create: () => string,
  write: typeof writeFileSync = writeFileSync,
): { readonly secret: string; readonly isNew: boolean } {
  const existing = readSecret(path);
  if (existing !== undefined) return { secret: existing, isNew: false };
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${process.pid}.new`;
  let isNew = true;
  try {
    write(draft, `${create()}\n`, { mode: 0o600 });
    linkSync(draft, path);
  } catch (error) {
    // Of a full disk Node does not tell which file it was.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw Object.assign(error as Error, { path });
    isNew = false;
  } finally {
    rmSync(draft, { force: true });
  }
  return { secret: readSecret(path) ?? "", isNew };
}

function readSecret(path: string): string | undefined {
  try {
    const secret = readFileSync(path, "utf8").trim();
    if (secret === "") throw new Error(`${path} is empty: delete it to have a new secret made, or restore it`);
    return secret;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
