import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";

/**
 * Seals credentials at rest with AES-256-GCM.
 *
 * Envelope: `v1.{kid}.{iv}.{tag}.{ciphertext}`, base64url. The key id is the beginning of a hash of the key, so that a record sealed by an
 * older master key is told from a damaged one. Owner and slot are additional authenticated data: an envelope moved to another record
 * does not open. The nonce is 96 random bits, which NIST SP 800-38D allows for up to 2^32 messages a key. The tag is held to 16 bytes: Node
 * accepts shorter ones unless told (DEP0182).
 */
export class Sealer {
  readonly #keys: ReadonlyMap<string, Buffer>;
  readonly keyId: string;
  readonly #key: Buffer;

  /** @param current seals and opens; @param older open only, for rotation */
  constructor(current: Buffer, older: readonly Buffer[] = []) {
    for (const key of [current, ...older]) if (key.length !== 32) throw new RangeError(`a master key has 32 bytes, got ${key.length}`);
    this.#key = current;
    this.keyId = keyIdOf(current);
    this.#keys = new Map([current, ...older].map((key) => [keyIdOf(key), key]));
  }

  /** Seals a text for one slot, such as `provider:openai`. */
  seal(text: string, slot: string): string {
    const iv = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", this.#key, iv, { authTagLength: 16 });
    cipher.setAAD(Buffer.from(slot, "utf8"));
    const sealed = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
    return ["v1", this.keyId, iv.toString("base64url"), cipher.getAuthTag().toString("base64url"), sealed.toString("base64url")].join(".");
  }

  /** Opens an envelope sealed for the same slot. @throws {SealError} for another key, another slot, or damage */
  open(envelope: string, slot: string): string {
    const [version, keyId, iv, tag, sealed] = envelope.split(".");
    const key = this.#keys.get(keyId ?? "");
    if (version !== "v1" || !iv || !tag || sealed === undefined) throw new SealError("is not a sealed value");
    if (!key) throw new SealError("was sealed with another master key");
    const tagBytes = Buffer.from(tag, "base64url");
    const ivBytes = Buffer.from(iv, "base64url");
    if (tagBytes.length !== 16 || ivBytes.length !== 12) throw new SealError("is damaged");
    try {
      const decipher = createDecipheriv("aes-256-gcm", key, ivBytes, { authTagLength: 16 });
      decipher.setAAD(Buffer.from(slot, "utf8"));
      decipher.setAuthTag(tagBytes);
      return Buffer.concat([decipher.update(Buffer.from(sealed, "base64url")), decipher.final()]).toString("utf8");
    } catch {
      throw new SealError("does not open: it was changed, or moved here from another record");
    }
  }

  /** Whether an envelope should be sealed anew because the master key has changed. */
  isOutdated(envelope: string): boolean {
    return envelope.split(".")[1] !== this.keyId;
  }
}

/** The key that seals, and those that only open any more. */
export interface MasterKeys {
  /** 32 bytes: seals and opens. */
  readonly masterKey: Buffer;
  /** 32 bytes each: open what they have sealed, and seal nothing. */
  readonly previousMasterKeys: readonly Buffer[];
}

/** A sealed credential that cannot be opened. Never carries the value. */
export class SealError extends Error {
  constructor(problem: string) {
    super(`The sealed credential ${problem}.`);
    this.name = "SealError";
  }
}

/** Tells master keys apart and gives nothing of them away. */
export function keyIdOf(key: Buffer): string {
  return createHash("sha256").update("larder-master-key-id").update(key).digest("base64url").slice(0, 8);
}

/** Reads a master key of 32 bytes in hexadecimal or base64. `undefined` for anything else, the empty string included. */
export function readMasterKey(text: string): Buffer | undefined {
  const trimmed = text.trim();
  if (/^[0-9a-f]{64}$/i.test(trimmed)) return Buffer.from(trimmed, "hex");
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(trimmed)) return undefined;
  const key = Buffer.from(trimmed, "base64");
  return key.length === 32 ? key : undefined;
}
