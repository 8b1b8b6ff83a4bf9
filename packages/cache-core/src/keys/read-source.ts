import { isAscii, isUtf8 } from "node:buffer";
import { CanonicalReader } from "./canonical-reader.ts";
import { checkJsonValue } from "./check-json-value.ts";
import { invalidRequest } from "./invalid-request.ts";

/** The top bit of each of four bytes. */
const TOP_BITS = 0x80808080;
const FOUR_SPACES = 0x20202020;

/**
 * Whether any byte is below 0x20: taking 0x20 from such a byte borrows into its top bit. A borrow may run on into the next byte and give a
 * false alarm there, but only when the byte below it was found. Eight bytes a step, since a loop over bytes takes longer than the SHA-256.
 */
function hasControlBytes(bytes: Buffer): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const last = bytes.length - 8;
  let found = 0;
  let index = 0;
  for (; index <= last; index += 8) {
    const low = view.getUint32(index, true);
    const high = view.getUint32(index + 4, true);
    found |= ((low - FOUR_SPACES) & ~low) | ((high - FOUR_SPACES) & ~high);
  }
  for (; index < bytes.length; index += 1) found |= (bytes[index] as number) < 32 ? TOP_BITS : 0;
  return (found & TOP_BITS) !== 0;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function bytesOfValue(value: unknown): Buffer {
  checkJsonValue(value);
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw invalidRequest("there is no value");
  return Buffer.from(text, "utf8"); // Well formed: JSON.stringify escapes lone surrogates.
}

/** Opens the bytes of a JSON text. @throws {CacheError} ERR_CACHE_INVALID_REQUEST when they are not UTF-8 */
export function readBytes(bytes: Uint8Array): CanonicalReader {
  // Invalid UTF-8 is decoded to U+FFFD, whatever it was: two bodies, one reading.
  if (!isUtf8(bytes)) throw invalidRequest("it is not valid UTF-8");
  const buffer = asBuffer(bytes);
  return new CanonicalReader(buffer.toString("latin1"), { isAscii: isAscii(buffer), hasControls: hasControlBytes(buffer) });
}

/** Opens a JSON value. @throws {CacheError} ERR_CACHE_INVALID_REQUEST when JSON cannot write it down without loss */
export function readParsed(value: unknown): CanonicalReader {
  return readBytes(bytesOfValue(value));
}

/** Opens a part of a canonical form. */
export function readForm(form: string): CanonicalReader {
  return new CanonicalReader(form, { isAscii: false, hasControls: false });
}
