import { createHash, timingSafeEqual } from "node:crypto";

/** SHA-256 of a text, hexadecimal. */
export function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Whether two secrets are equal, in time that does not depend on where they differ; `timingSafeEqual` itself throws on other lengths. */
export function equalSecrets(left: string, right: string): boolean {
  return timingSafeEqual(createHash("sha256").update(left).digest(), createHash("sha256").update(right).digest());
}
