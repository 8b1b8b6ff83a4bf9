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

/**
 * The default accounting: key, value and overhead of one entry, in bytes. Strings, buffers and typed arrays are counted exactly by
 * length; objects by a walk over at most 512 nodes and 4096 fields. What is larger is estimated from an even sample of its parts, in no more
 * steps. Shared and cyclic parts count once.
 */
export function bytesOfEntry(key: string, value: unknown): number {
  return ENTRY_BYTES + bytesOfString(key) + bytesOfValue(value);
}

function bytesOfValue(value: unknown): number {
  if (typeof value === "string") return bytesOfString(value);
  if (typeof value !== "object" || value === null) return FIELD_BYTES;
  return bytesOfFlat(value) ?? walk(value) ?? Math.ceil(estimate(value, MAX_VISITS, new Set([value])));
}

/** Objects that are counted without looking inside. */
function bytesOfFlat(value: object): number | undefined {
  if (ArrayBuffer.isView(value)) return HEADER_BYTES + value.byteLength;
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return HEADER_BYTES + value.byteLength;
  return undefined;
}

/** Counts everything. @returns `undefined` when there is too much of it */
function walk(root: object): number | undefined {
  const seen = new Set<object>([root]);
  let total = 0;
  let fields = 0;
  const count = (field: unknown): void => {
    if (typeof field === "string") total += bytesOfString(field);
    else if (typeof field === "object" && field !== null) seen.add(field);
  };
  // Those added on the way are visited, too.
  for (const node of seen) {
    if (seen.size > MAX_VISITS) return undefined;
    const flat = bytesOfFlat(node);
    if (flat !== undefined) {
      total += flat;
      continue;
    }
    const counted = countFields(node, count, MAX_FIELDS - fields);
    if (counted === undefined) return undefined;
    fields += counted;
    total += HEADER_BYTES + counted * (isCollection(node) ? PLACE_BYTES : FIELD_BYTES);
  }
  return total;
}

/** Hands what a node's fields hold to `count`. @returns how many there are; `undefined` when more than `limit` */
function countFields(node: object, count: (field: unknown) => void, limit: number): number | undefined {
  if (Array.isArray(node)) {
    if (node.length > limit) return undefined;
    for (let index = 0; index < node.length; index += 1) count(node[index]);
    return node.length;
  }
  if (isCollection(node)) {
    if (node.size > limit) return undefined;
    for (const [name, field] of node.entries()) {
      if (name !== field) count(name);
      count(field);
    }
    return node.size;
  }
  let fields = 0;
  for (const name in node) {
    fields += 1;
    if (fields > limit) return undefined;
    count((node as Record<string, unknown>)[name]);
  }
  return fields;
}

/** What an even sample of a node's fields holds, how many fields there are for each in the sample, and the bytes of all the fields themselves. */
interface Sample {
  readonly fields: readonly unknown[];
  readonly share: number;
  readonly ownBytes: number;
}

function sampleOf(node: object): Sample {
  if (Array.isArray(node)) {
    return { fields: evenly(node, MAX_SAMPLE), share: shareOf(node.length), ownBytes: FIELD_BYTES * node.length };
  }
  if (isCollection(node)) {
    const fields: unknown[] = [];
    for (const [name, field] of node.entries()) {
      if (fields.length >= 2 * MAX_SAMPLE) break;
      fields.push(node instanceof Map ? name : undefined, field);
    }
    return { fields, share: shareOf(node.size), ownBytes: PLACE_BYTES * node.size };
  }
  const names = Object.keys(node);
  const isHashed = names.length > MAX_SAMPLE;
  const sampled = evenly(names, MAX_SAMPLE);
  const fields: unknown[] = sampled.map((name) => (node as Record<string, unknown>)[name]);
  // The names of a few fields are shared by all objects of their shape; those of many are this object's own.
  if (isHashed) fields.push(...sampled);
  return { fields, share: shareOf(names.length), ownBytes: (isHashed ? PLACE_BYTES : FIELD_BYTES) * names.length };
}

/** Bytes of a node and of what hangs on it, from a sample of its fields and, of the objects among them, of as many as the visits allow. */
function estimate(node: object, visits: number, seen: Set<object>): number {
  const flat = bytesOfFlat(node);
  if (flat !== undefined) return flat;
  const { fields, share, ownBytes } = sampleOf(node);
  const nested: object[] = [];
  let sampleBytes = 0;
  for (const field of fields) {
    if (typeof field === "string") sampleBytes += bytesOfString(field);
    else if (typeof field === "object" && field !== null && !seen.has(field)) {
      seen.add(field);
      nested.push(field);
    }
  }
  const visited = evenly(nested, Math.max(Math.min(LEAST_NESTED, Math.ceil(visits - 1)), Math.trunc(visits / LEAST_VISITS), 1));
  if (visits <= 1) sampleBytes += HEADER_BYTES * nested.length;
  else {
    const each = (visits - 1) / visited.length;
    for (const child of visited) sampleBytes += (estimate(child, each, seen) * nested.length) / visited.length;
  }
  return HEADER_BYTES + ownBytes + sampleBytes * share;
}

/** At most `count` of the items, evenly spread. */
function evenly<T>(items: readonly T[], count: number): readonly T[] {
  if (items.length <= count) return items;
  return Array.from({ length: count }, (_, index) => items[Math.trunc((index * items.length) / count)] as T);
}

function shareOf(length: number): number {
  return Math.max(1, length / MAX_SAMPLE);
}

function isCollection(node: object): node is Map<unknown, unknown> | Set<unknown> {
  return node instanceof Map || node instanceof Set;
}
