import { createHmac, createSecretKey, timingSafeEqual } from "node:crypto";
import { isUint8Array } from "node:util/types";
import { CacheError, describeValue } from "@larder/cache-core";

/** Shortest secret taken: an empty or guessable one protects nothing. */
const MIN_SECRET_BYTES = 16;

/** Signs message bodies, so that only those who hold the secret can invalidate. */
export interface BodySigner {
  /** The signature of a body within a namespace. */
  sign(namespace: string, body: string): string;
  /** Whether a signature is right; `undefined` never is. Takes the same time for every wrong one. */
  verify(namespace: string, body: string, signature: string | undefined): boolean;
}

/**
 * Signs with HMAC-SHA256. Epoch and seq are given by the server after signing and are not covered: whoever may publish on the bus's
 * channels can repeat an old invalidation at any place, which costs misses. He cannot invent one, nor hide one (essay of `lane.ts`; the
 * exception there is a cluster whose nodes lose messages among themselves). Whoever may write the bus's keys can do anything.
 * @param secret at least 16 bytes, the same in every process
 * @throws {CacheError} ERR_CACHE_INVALID_OPTION when it is shorter, or something else
 */
export function createBodySigner(secret: string | Uint8Array): BodySigner {
  if (typeof secret !== "string" && !isUint8Array(secret))
    throw new CacheError("ERR_CACHE_INVALID_OPTION", `secret must be a string or a Uint8Array, got ${describeValue(secret)}`);
  if (Buffer.byteLength(secret) < MIN_SECRET_BYTES)
    throw new CacheError(
      "ERR_CACHE_INVALID_OPTION",
      `secret must have at least ${MIN_SECRET_BYTES} bytes, got ${Buffer.byteLength(secret)}`,
    );
  // A copy: the caller may wipe his own, and zeros are a key that everybody has.
  const key = createSecretKey(typeof secret === "string" ? Buffer.from(secret) : secret);
  const digest = (namespace: string, body: string): Buffer =>
    createHmac("sha256", key).update(`${namespace.length}:${namespace}`).update(body).digest();
  return {
    sign: (namespace, body) => digest(namespace, body).toString("base64url"),
    verify(namespace, body, signature) {
      if (signature === undefined) return false;
      const given = Buffer.from(signature, "base64url");
      const expected = digest(namespace, body);
      return given.length === expected.length && timingSafeEqual(given, expected);
    },
  };
}
