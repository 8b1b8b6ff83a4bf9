import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import { SettingsError } from "../config/read-settings.ts";
import type { Settings } from "../config/schema.ts";
import { sqlitePath } from "../storage/sql.ts";
import { type MasterKeys, readMasterKey } from "./sealer.ts";
import { readOrCreateSecret } from "./secret-file.ts";

/** What the administration is entered with. */
export interface AdminToken {
  readonly adminToken: string;
  /** The file that holds it; `undefined` when it was configured. */
  readonly adminTokenFile: string | undefined;
  /** The same token when it was made just now: to be shown once. */
  readonly newAdminToken: string | undefined;
}

/** Secrets that a gateway cannot be without. */
export interface Secrets extends MasterKeys, AdminToken {}

/**
 * Those that were configured; the others are made once and kept beside the database, where processes that share it find them.
 * @throws {SettingsError} for keys that are none @throws when the folder cannot be written
 */
export function obtainSecrets(settings: Settings, directory: string): Secrets {
  const isFile = settings.databaseUrl.startsWith("file:");
  if (settings.masterKey === undefined && !isFile)
    throw new SettingsError(["LARDER_MASTER_KEY must be set with PostgreSQL: every process of the fleet needs the same one"]);
  const folder = isFile ? dirname(sqlitePath(settings.databaseUrl, directory)) : join(directory, ".larder");
  const masterKeys = obtainMasterKeys(settings, folder);
  try {
    return { ...masterKeys, ...obtainAdminToken(settings, folder) };
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    if (isFile || path === undefined) throw error;
    throw new SettingsError([
      `LARDER_ADMIN_TOKEN must be set, since ${path}, which would hold one with PostgreSQL, cannot be read or made (${code})`,
    ]);
  }
}

function obtainMasterKeys(settings: Settings, folder: string): MasterKeys {
  const text = settings.masterKey ?? readOrCreateSecret(join(folder, "master-key"), () => randomBytes(32).toString("hex")).secret;
  const masterKey = readMasterKey(text);
  if (!masterKey) throw new SettingsError(["LARDER_MASTER_KEY must be 32 bytes in hexadecimal (64 digits) or base64"]);
  const previous = settings.previousMasterKeys.map(readMasterKey).filter((key) => key !== undefined);
  if (previous.length < settings.previousMasterKeys.length)
    throw new SettingsError([
      "LARDER_MASTER_KEY_PREVIOUS must hold keys of 32 bytes in hexadecimal (64 digits) or base64, separated by commas",
    ]);
  // One list may serve a whole fleet while it rotates, whichever of its keys is a process's own.
  const isOther = (key: Buffer, index: number): boolean =>
    !key.equals(masterKey) && previous.findIndex((earlier) => earlier.equals(key)) === index;
  return { masterKey, previousMasterKeys: previous.filter(isOther) };
}

function obtainAdminToken({ adminToken }: Settings, folder: string): AdminToken {
  if (adminToken !== undefined) return { adminToken, adminTokenFile: undefined, newAdminToken: undefined };
  const adminTokenFile = join(folder, "admin-token");
  const { secret, isNew } = readOrCreateSecret(adminTokenFile, () => `larder_admin_${randomBytes(32).toString("base64url")}`);
  return { adminToken: secret, adminTokenFile, newAdminToken: isNew ? secret : undefined };
}
