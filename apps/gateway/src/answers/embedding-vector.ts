import { isObject, type JsonObject } from "./json.ts";

/** The numbers of one embedding, in as many bytes as they need. */
export interface EmbeddingVector {
  readonly format: "f32" | "f64";
  readonly bytes: Buffer;
}

/**
 * Reads an embedding as a provider gives it: a list of numbers, or base64 of 32-bit floats (little endian). Numbers keep every bit: a list
 * is stored in 32 bits only when each number fits there. `undefined` when it is neither.
 */
function readVector(embedding: unknown): EmbeddingVector | undefined {
  if (typeof embedding === "string") {
    const bytes = Buffer.from(embedding, "base64");
    return bytes.length > 0 && bytes.length % 4 === 0 ? { format: "f32", bytes } : undefined;
  }
  if (!Array.isArray(embedding) || embedding.length === 0 || !embedding.every((value) => typeof value === "number")) return undefined;
  const numbers = embedding as number[];
  const isSmall = numbers.every((value) => Object.is(Math.fround(value), value));
  const values = isSmall ? Float32Array.from(numbers) : Float64Array.from(numbers);
  return { format: isSmall ? "f32" : "f64", bytes: Buffer.from(values.buffer) };
}

/** Writes an embedding in the encoding a caller asked for. */
export function writeVector(vector: EmbeddingVector, encoding: "float" | "base64"): string | number[] {
  if (encoding === "base64" && vector.format === "f32") return vector.bytes.toString("base64");
  const numbers = numbersOf(vector);
  return encoding === "float" ? Array.from(numbers) : Buffer.from(Float32Array.from(numbers).buffer).toString("base64");
}

function numbersOf({ format, bytes }: EmbeddingVector): Float32Array | Float64Array {
  // A copy: the bytes may stand at any offset of a larger buffer, and a typed array needs an aligned one.
  const copy = Uint8Array.from(bytes).buffer;
  return format === "f32" ? new Float32Array(copy) : new Float64Array(copy);
}

/** The vectors of a provider's answer in the order of the inputs, by their `index`. `undefined` unless there is exactly one for each. */
export function vectorsOf(answer: JsonObject, count: number): EmbeddingVector[] | undefined {
  if (!Array.isArray(answer.data) || answer.data.length !== count) return undefined;
  const vectors = new Array<EmbeddingVector | undefined>(count).fill(undefined);
  for (const [position, item] of answer.data.entries()) {
    if (!isObject(item)) return undefined;
    const index = typeof item.index === "number" ? item.index : position;
    if (!Number.isInteger(index) || index < 0 || index >= count || vectors[index]) return undefined;
    vectors[index] = readVector(item.embedding);
  }
  return vectors.every((vector) => vector !== undefined) ? (vectors as EmbeddingVector[]) : undefined;
}

/** The items of an `input`, as they are keyed: a text or a list of tokens is one, a list of those is many. */
export function itemsOf(input: unknown): unknown[] {
  if (!Array.isArray(input)) return [input];
  return input.length > 0 && input.every((item) => typeof item === "number") ? [input] : input;
}

/** Shares a batch's tokens out over its items by their length, so that the shares add up to the whole. */
export function shareTokens(total: number, items: readonly unknown[]): number[] {
  const lengths = items.map((item) => (typeof item === "string" || Array.isArray(item) ? Math.max(1, item.length) : 1));
  const sum = lengths.reduce((all, length) => all + length, 0);
  let told = 0;
  let passed = 0;
  return lengths.map((length) => {
    passed += length;
    const share = Math.round((total * passed) / sum) - told;
    told += share;
    return share;
  });
}
