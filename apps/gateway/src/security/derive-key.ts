import { createHash } from "node:crypto";

/** A key for one purpose, made from the master key: the same bytes never serve two algorithms. */
export function deriveKey(masterKey: Buffer, purpose: string): Buffer {
  return createHash("sha256").update(`larder ${purpose}\0`).update(masterKey).digest();
}
