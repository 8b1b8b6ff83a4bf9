import { createCipheriv, createDecipheriv, createHash, createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import { isUint8Array } from "node:util/types";
import { CacheError, checkList, checkOptions, type OptionNames } from "@larder/cache-core";
import type { BodySealing } from "./value-pipeline.ts";

/** A key under the id that stands in the entries that it sealed. */
export interface SealingKey {
  /** 1 to 32 letters, digits, `-`, `_` or `.`: stored in clear, so no secret. Never give one id to two keys. */
  readonly id: string;
  /** 32 bytes from a good source, as `crypto.randomBytes(32)` gives them. */
  readonly secret: Uint8Array;
}

/** How bodies are sealed. */
export interface SealingOptions {
  /** The key for new entries. */
  readonly current: SealingKey;
  /** Keys that older entries may be sealed by. Rotate by making the new key current and the old one previous until their times to live are over. @default none */
  readonly previous?: readonly SealingKey[];
}

const OPTIONS: OptionNames<SealingOptions> = { current: true, previous: true };

/*
 * A sealed body: length of the key's id (1 byte), id, IV (12), tag (16), ciphertext. AES-256-GCM.
 *
 * - What the cache hands over as context (prefix, namespace, key, tags, times, codec) is authenticated with it, so a body opens under its
 *   own key of its own tenant alone; the key's id is authenticated too.
 * - The IV is random, 96 bits: NIST SP 800-38D, 8.3 allows 2^32 seals by one key then. Rotate long before: a thousand writes a second
 *   reach that in seven weeks. The bound is kept here, per process.
 * - authTagLength is enforced: Node accepts a tag cut to 4 bytes otherwise (DEP0182).
 *
 * What it does not do: hide that an entry exists, its key, size, tags and times; or keep who can write to Redis from putting an older
 * entry of the same key back, or from deleting it.
 */
const ALGORITHM = "aes-256-gcm";
const IV_BYTES = 12;
const TAG_BYTES = 16;
const MAX_SEALS = 2 ** 32;

function toKeyObject(key: SealingKey): KeyObject {
  const { id, secret } = (key as SealingKey | undefined | null) ?? { id: undefined, secret: undefined };
  if (typeof id !== "string" || !/^[\w.-]{1,32}$/.test(id))
    throw new CacheError("ERR_CACHE_INVALID_OPTION", "id of a sealing key must be 1 to 32 letters, digits, -, _ or .");
  if (!isUint8Array(secret) || secret.length !== 32) {
    throw new CacheError(
      "ERR_CACHE_INVALID_OPTION",
      "secret of a sealing key must be 32 bytes: crypto.randomBytes(32), or a stored key decoded from hex or base64",
    );
  }
  return createSecretKey(secret);
}

/** What is authenticated and not encrypted. */
function bind(id: string, context: Uint8Array): Buffer {
  return createHash("sha256").update(`larder seal 1 ${id}\n`).update(context).digest();
}

/**
 * Seals bodies by AES-256-GCM, so that Redis, its dumps and its network see none of them. A body that does not open (unknown key, another
 * tenant's, a spoiled byte) is a miss and is counted.
 * @throws {CacheError} ERR_CACHE_INVALID_OPTION for a key that is not 32 bytes, or an id that is missing or given twice
 */
export function createSealing(options: SealingOptions): BodySealing {
  checkOptions(options, OPTIONS);
  const { current, previous = [] } = options;
  checkList("previous", previous);
  const keys = new Map<string, KeyObject>();
  for (const key of [current, ...previous]) {
    const object = toKeyObject(key);
    if (keys.has(key.id)) throw new CacheError("ERR_CACHE_INVALID_OPTION", "each sealing key must have an id of its own");
    keys.set(key.id, object);
  }
  const currentKey = keys.get(current.id) as KeyObject;
  let seals = 0;
  return {
    id: 1,
    seal(body, context) {
      seals += 1;
      if (seals > MAX_SEALS) throw new CacheError("ERR_CACHE_CODEC", "the sealing key has been used 2^32 times: give a new one as current");
      const id = Buffer.from(current.id, "latin1");
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv(ALGORITHM, currentKey, iv, { authTagLength: TAG_BYTES }).setAAD(bind(current.id, context));
      const sealed = [cipher.update(body), cipher.final()];
      return Buffer.concat([Buffer.of(id.length), id, iv, cipher.getAuthTag(), ...sealed]);
    },
    open(body, context) {
      const ivAt = 1 + (body[0] ?? 0);
      const bodyAt = ivAt + IV_BYTES + TAG_BYTES;
      const id = body.toString("latin1", 1, ivAt);
      const key = keys.get(id);
      if (key === undefined || body.length < bodyAt) throw new CacheError("ERR_CACHE_CODEC", "the body was not sealed by a key known here");
      const decipher = createDecipheriv(ALGORITHM, key, body.subarray(ivAt, ivAt + IV_BYTES), { authTagLength: TAG_BYTES })
        .setAAD(bind(id, context))
        .setAuthTag(body.subarray(ivAt + IV_BYTES, bodyAt));
      return Buffer.concat([decipher.update(body.subarray(bodyAt)), decipher.final()]);
    },
  };
}
