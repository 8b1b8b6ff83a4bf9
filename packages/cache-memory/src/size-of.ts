/** What an entry costs beside key and value: its place in the `Map` after churn and in the columns, rounded. */
const ENTRY_BYTES = 96;
/** Header of a string, array or object in V8. */
const HEADER_BYTES = 16;
/** A field of an object or array. */
const FIELD_BYTES = 8;
/** Objects visited at most per value. What lies beyond is estimated from the mean of what was seen. */
const MAX_VISITS = 512;

/** Bytes of a string as V8 holds it: one per character while all are ASCII, else two. */
export function bytesOfString(text: string): number {
  return HEADER_BYTES + (Buffer.byteLength(text) === text.length ? text.length : 2 * text.length);
}

/**
 * The default accounting: key, value and overhead of one entry, in bytes. Strings, buffers and typed arrays are counted exactly by
 * length; objects by a walk over at most 512 nodes, the rest estimated. Shared and cyclic parts count once.
 */
export function bytesOfEntry(key: string, value: unknown): number {
  return ENTRY_BYTES + bytesOfString(key) + bytesOfValue(value);
}

function bytesOfValue(value: unknown): number {
  if (typeof value === "string") return bytesOfString(value);
  if (typeof value !== "object" || value === null) return FIELD_BYTES;
  return bytesOfFlat(value) ?? walk(value);
}

/** Objects that are counted without looking inside. */
function bytesOfFlat(value: object): number | undefined {
  if (ArrayBuffer.isView(value)) return HEADER_BYTES + value.byteLength;
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return HEADER_BYTES + value.byteLength;
  return undefined;
}

function walk(root: object): number {
  const seen = new Set<object>([root]);
  const waiting: object[] = [root];
  let total = 0;
  let visits = 0;
  const count = (field: unknown): void => {
    if (typeof field === "string") total += bytesOfString(field);
    else if (typeof field === "object" && field !== null && !seen.has(field)) {
      seen.add(field);
      waiting.push(field);
    }
  };
  while (waiting.length > 0 && visits < MAX_VISITS) {
    const node = waiting.pop()!;
    visits += 1;
    // Not `total += countFields(...)`: that would read the total before the call adds to it.
    const own = bytesOfFlat(node) ?? HEADER_BYTES + countFields(node, count);
    total += own;
  }
  return waiting.length === 0 ? total : Math.ceil(total * (1 + waiting.length / visits));
}

/** Counts the fields of a node and hands what they hold to `count`. @returns bytes of the fields themselves */
function countFields(node: object, count: (field: unknown) => void): number {
  if (Array.isArray(node)) {
    const length = Math.min(node.length, MAX_VISITS * 8);
    for (let index = 0; index < length; index += 1) count(node[index]);
    return FIELD_BYTES * node.length;
  }
  if (node instanceof Map || node instanceof Set) return countCollection(node, count);
  let fields = 0;
  for (const name in node) {
    fields += 1;
    count((node as Record<string, unknown>)[name]);
  }
  return FIELD_BYTES * fields;
}

function countCollection(collection: Map<unknown, unknown> | Set<unknown>, count: (field: unknown) => void): number {
  for (const [name, field] of collection.entries()) {
    if (collection instanceof Map) count(name);
    count(field);
  }
  return 4 * FIELD_BYTES * collection.size;
}
