/** What an entry costs beside key and value: its place in the `Map` after churn and in the columns, rounded. */
const ENTRY_BYTES = 96;
/** Header of a string, array or object in V8. */
const HEADER_BYTES = 16;
/** A field of an object or array. */
const FIELD_BYTES = 8;
/** A place of a `Map`, a `Set` or an object with so many fields that V8 keeps them in a hash table. */
const PLACE_BYTES = 32;
/** Objects looked into at most. A value that has more is estimated. */
const MAX_VISITS = 512;
/** Fields looked at in all for an exact count: arrays of numbers such as embeddings are below it. */
const MAX_FIELDS = 4_096;
/** Fields of one object looked at for an estimate, evenly spread: they stand for all of them. */
const MAX_SAMPLE = 512;
/** Objects of a sample that are looked into at least, and visits that each of more of them must have: rather fewer of them, and those whole. */
const LEAST_NESTED = 4;
const LEAST_VISITS = 32;

/** Bytes of a string as V8 holds it: one per character while all are ASCII, else two. */
export function bytesOfString(text: string): number {
  return HEADER_BYTES + (Buffer.byteLength(text) === text.length ? text.length : 2 * text.length);
}

/** Bytes of what is no object beside its own field: a number or a flag is in there, and a large integer is half as long as it is in hexadecimal. */
function bytesOfPlain(value: unknown): number {
  if (typeof value === "string") return bytesOfString(value);
  return typeof value === "bigint" ? HEADER_BYTES + value.toString(16).length / 2 : 0;
}

/**
 * The default accounting: key, value and overhead of one entry, in bytes. Strings, buffers, typed arrays and blobs are counted exactly by
 * length; objects by a walk over at most 512 nodes and 4096 fields. What is larger is estimated from an even sample of its parts, in no more
 * steps. Shared and cyclic parts count once.
 */
export function bytesOfEntry(key: string, value: unknown): number {
  return ENTRY_BYTES + bytesOfString(key) + bytesOfValue(value);
}

function bytesOfValue(value: unknown): number {
  if (typeof value !== "object" || value === null) return bytesOfPlain(value) || FIELD_BYTES;
  return bytesOfFlat(value) ?? walk(value) ?? Math.ceil(estimate(value, MAX_VISITS, new Set([value])));
}

/** Objects that are counted without looking inside. */
function bytesOfFlat(value: object): number | undefined {
  if (ArrayBuffer.isView(value)) return HEADER_BYTES + value.byteLength;
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return HEADER_BYTES + value.byteLength;
  if (value instanceof Blob) return HEADER_BYTES + value.size;
  return undefined;
}

/** Counts everything. @returns `undefined` when there is too much of it */
function walk(root: object): number | undefined {
  const seen = new Set<object>([root]);
  let total = 0;
  let looked = 0;
  // Those added on the way are visited, too.
  for (const node of seen) {
    const flat = bytesOfFlat(node);
    if (flat !== undefined) {
      total += flat;
      continue;
    }
    const { fields, share, ownBytes } = sampleOf(node, MAX_FIELDS);
    looked += fields.length;
    total += ownBytes;
    // By index: an iterator would make an object of each number of a vector.
    for (let index = 0; index < fields.length; index += 1) {
      const field = fields[index];
      if (typeof field !== "object") total += bytesOfPlain(field);
      else if (field !== null) seen.add(field);
    }
    if (share > 1 || looked > MAX_FIELDS || seen.size > MAX_VISITS) return undefined;
  }
  return total;
}

/** Bytes of a node and of what hangs on it, from a sample of its fields and, of the objects among them, of as many as the visits allow. */
function estimate(node: object, visits: number, seen: Set<object>): number {
  const flat = bytesOfFlat(node);
  if (flat !== undefined) return flat;
  const { fields, share, ownBytes } = sampleOf(node, MAX_SAMPLE);
  const nested: object[] = [];
  let bytes = 0;
  for (const field of fields) {
    if (typeof field !== "object") bytes += bytesOfPlain(field);
    else if (field !== null && !seen.has(field)) {
      seen.add(field);
      nested.push(field);
    }
  }
  const visited = evenly(nested, Math.max(Math.min(LEAST_NESTED, Math.ceil(visits - 1)), visits / LEAST_VISITS));
  if (visited.length === 0) bytes += HEADER_BYTES * nested.length;
  for (const child of visited) bytes += (estimate(child, (visits - 1) / visited.length, seen) * nested.length) / visited.length;
  return ownBytes + bytes * share;
}

/** What an even sample of a node's fields holds, how many fields there are for each in the sample, and the bytes of node and fields themselves. */
interface Sample {
  readonly fields: readonly unknown[];
  readonly share: number;
  readonly ownBytes: number;
}

/** @param most fields to look at */
function sampleOf(node: object, most: number): Sample {
  const sample = (fields: readonly unknown[], length: number, fieldBytes: number): Sample => ({
    fields,
    share: Math.max(1, length / most),
    ownBytes: HEADER_BYTES + fieldBytes * length,
  });
  if (Array.isArray(node)) return sample(evenly(node, most), node.length, FIELD_BYTES);
  if (node instanceof Map || node instanceof Set) {
    const fields: unknown[] = [];
    let left = most;
    for (const [name, field] of node.entries()) {
      fields.push(field);
      if (name !== field) fields.push(name);
      left -= 1;
      if (left === 0) break;
    }
    return sample(fields, node.size, PLACE_BYTES);
  }
  const names = Object.keys(node);
  if (names.length <= MAX_SAMPLE) return sample(Object.values(node), names.length, FIELD_BYTES);
  // The names of a few fields are shared by all objects of their shape; those of many are this object's own.
  const sampled = evenly(names, most);
  return sample([...sampled, ...sampled.map((name) => (node as Record<string, unknown>)[name])], names.length, PLACE_BYTES);
}

/** At most `count` of the items, evenly spread. */
function evenly<T>(items: readonly T[], count: number): readonly T[] {
  if (items.length <= count) return items;
  return Array.from({ length: count }, (_, index) => items[Math.trunc((index * items.length) / count)] as T);
}
