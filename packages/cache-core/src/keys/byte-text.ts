/**
 * Byte text: a string in which every character stands for one byte of UTF-8 (0 to 255). V8 keeps it at one byte a character and finds
 * quotes in it with `memchr`, and it costs a copy to make and none to hash, where decoding UTF-8 into UTF-16 and back costs more than
 * the hashing (measured: 100 KB with a few dashes in it, 250 us to decode, 57 us to hash).
 */

/** UTF-16 text as byte text. The text must be well formed: a lone surrogate would become U+FFFD. */
export function toByteText(text: string): string {
  return Buffer.byteLength(text, "utf8") === text.length ? text : Buffer.from(text, "utf8").toString("latin1");
}

/** Byte text as UTF-16 text. */
export function fromByteText(bytes: string): string {
  return Buffer.from(bytes, "latin1").toString("utf8");
}
