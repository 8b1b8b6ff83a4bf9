import { deserialize, serialize } from "node:v8";
import { CacheError } from "@larder/cache-core";

/** Turns values into bytes and back. Its id is stored with every entry: what another codec wrote is a miss. */
export interface ValueCodec<V> {
  /** Integer from 1 to 255. 1 to 15 are larder's own. Change it whenever the bytes change their meaning. */
  readonly id: number;
  /** @throws {CacheError} ERR_CACHE_CODEC for a value that it cannot hold */
  encode(value: V): Uint8Array;
  /** What it throws makes the read a miss. */
  decode(bytes: Buffer): V;
  /**
   * Whether a decoded value may be a view of the bytes that it was decoded from, or hold one. What goes into a first tier is then decoded from
   * a copy where it would otherwise keep alive much more than itself. Left out: it never is.
   */
  readonly sharesBytes?: boolean;
}

/**
 * A reply is a view of what the socket read at once, up to 64 KB, or of the pool of megabytes in which the client puts large replies together. A
 * value that is kept must not keep all of that alive; where it is a good part of it, the copy is saved. Measured, with sixteen hits of 64 KB in
 * flight: 257 and 200 us of processor time with the copy, 205 and 164 without (two runs in turn, a busy machine). Who only reads need not pay for it.
 */
const MAX_SHARE = 8;

/** Bytes that may be kept. */
export function unshare(bytes: Buffer): Buffer {
  return bytes.buffer.byteLength > MAX_SHARE * bytes.length ? Buffer.from(bytes) : bytes;
}

/**
 * The value is bytes and is stored as it is: nothing is parsed on a hit. Any Uint8Array is taken; a Buffer is given, by `RedisCache` itself a view of
 * what the client read, as the client gives it: copy with `Buffer.from` what is small and kept for long. What a first tier keeps is its own.
 */
export const bytesCodec: ValueCodec<Buffer> = {
  id: 1,
  // What is none, the cache refuses.
  encode: (value) => value,
  decode: (bytes) => bytes,
  sharesBytes: true,
};

function encodeJson(value: unknown): Buffer {
  let text: string | undefined;
  try {
    // JSON has an empty object for an answer that nobody awaited, and for a stream.
    const given = Object(value) as Partial<PromiseLike<unknown> & AsyncIterable<unknown>>;
    if (typeof (given[Symbol.asyncIterator] ?? given.then) !== "function") text = JSON.stringify(value);
  } catch {
    // The cause may quote the value.
  }
  if (text === undefined)
    throw new CacheError(
      "ERR_CACHE_CODEC",
      "the value cannot be written as JSON: await a promise or stream; a function or symbol has no form in it; use v8Codec for a BigInt or cycle",
    );
  return Buffer.from(text, "utf8");
}

/**
 * Plain data as JSON: what every language reads. What JSON does not keep comes back changed: a `Date` as text, a `Map` as `{}`. `v8Codec` keeps both.
 * A promise or a stream is refused: await it first.
 */
export function jsonCodec<V>(): ValueCodec<V> {
  return { id: 2, encode: encodeJson, decode: (bytes) => JSON.parse(bytes.toString("utf8")) as V };
}

function encodeV8(value: unknown): Buffer {
  try {
    return serialize(value);
  } catch {
    throw new CacheError("ERR_CACHE_CODEC", "the value cannot be cloned: it holds a function, a promise or a foreign object");
  }
}

/**
 * Anything that structured cloning takes: Map, Set, Date, BigInt, typed arrays, cycles. Faster than JSON for arrays of numbers. Readable
 * by Node alone. Only for a Redis that none but trusted programs write to, unless entries are sealed: V8 does not defend its
 * deserializer against hostile bytes. A typed array may be a view of more than itself, as Node's own `v8.deserialize` gives it: hand on a `slice()` where
 * its `buffer` goes out or to another thread.
 */
export function v8Codec<V>(): ValueCodec<V> {
  // Typed arrays are given as views.
  return { id: 3, encode: encodeV8, decode: (bytes) => deserialize(bytes) as V, sharesBytes: true };
}
