import { isUint8Array } from "node:util/types";
import { CacheError, checkCount } from "@larder/cache-core";
import { decodeEntry, type EntryFault, encodeEntry, type StoredParts } from "./entry-format.ts";
import { unshare, type ValueCodec } from "./value-codec.ts";

/** Makes bodies smaller. Its id is stored with the entry: what another one wrote is a miss. */
export interface BodyCompression {
  /** Integer from 1 to 255. */
  readonly id: number;
  /** The compressed body, or `undefined` where it is not worth it: then it is stored as it is. */
  compress(body: Uint8Array): Uint8Array | undefined;
  /** @throws anything for bytes that are none of its own; that makes the read a miss */
  decompress(body: Buffer): Buffer;
}

/** Encrypts bodies. Its id is stored with the entry; an entry that is not sealed is a miss for a cache that seals. */
export interface BodySealing {
  /** Integer from 1 to 255. */
  readonly id: number;
  /** @param context what the body belongs to: opening it under another context fails */
  seal(body: Uint8Array, context: Uint8Array): Uint8Array;
  /** @throws anything when key, context or bytes are not the ones it was sealed with; that makes the read a miss */
  open(body: Buffer, context: Uint8Array): Buffer;
}

/** How values become entries. */
export interface ValuePipelineOptions<V> {
  readonly codec: ValueCodec<V>;
  readonly compression: BodyCompression | undefined;
  readonly sealing: BodySealing | undefined;
  /** What the owner of every entry begins with: prefix and namespace, unambiguously. */
  readonly owner: string;
  /** Whether values are kept by whoever reads them. */
  readonly isKept: boolean;
}

/** Why an entry is not used. */
export type PipelineFault = EntryFault | "codec" | "sealing" | "value";

/** Everything between a value and the bytes in Redis: codec, compression, sealing, entry. */
export class ValuePipeline<V> {
  readonly #options: ValuePipelineOptions<V>;

  constructor(options: ValuePipelineOptions<V>) {
    this.#options = options;
  }

  /** @throws {CacheError} ERR_CACHE_CODEC for a value that the codec cannot hold */
  encode(key: string, value: V, options: { readonly ttlMs: number; readonly staleMs: number; readonly tags: readonly string[] }): Buffer {
    const { codec, compression, sealing } = this.#options;
    const plain = codec.encode(value);
    // A text's characters would be stored as zeros, and each read of it be a miss. Not `instanceof`: under Jest's jsdom a Buffer is of another realm.
    if (!isUint8Array(plain))
      throw new CacheError("ERR_CACHE_CODEC", "the codec gives no Uint8Array; bytesCodec stores nothing else: use jsonCodec or v8Codec");
    const compressed = compression?.compress(plain);
    const body = compressed ?? plain;
    const parts = {
      codec: codec.id,
      compression: compression && compressed ? compression.id : 0,
      sealing: sealing?.id ?? 0,
      ttlMs: options.ttlMs,
      staleMs: options.staleMs,
      tags: options.tags,
      owner: this.#owner(key),
      body,
    };
    if (sealing) parts.body = sealing.seal(body, sealingContext(parts));
    return encodeEntry(parts);
  }

  /** Reads an entry without its value. */
  parse(key: string, bytes: Buffer, isHead = false): StoredParts | EntryFault {
    return decodeEntry(bytes, this.#options.owner, key, isHead);
  }

  /** The value of an entry. Never throws. */
  open(key: string, parts: StoredParts): { readonly value: V } | PipelineFault {
    const { codec, compression, sealing, isKept } = this.#options;
    if (parts.codec !== codec.id) return "codec";
    if (parts.sealing !== (sealing?.id ?? 0)) return "sealing";
    if (parts.compression !== 0 && parts.compression !== compression?.id) return "codec";
    let body = parts.body;
    try {
      if (sealing) body = sealing.open(body, sealingContext({ ...parts, owner: this.#owner(key) }));
    } catch {
      return "sealing";
    }
    try {
      if (compression && parts.compression !== 0) body = compression.decompress(body);
      const value = codec.decode(isKept && codec.sharesBytes ? unshare(body) : body);
      return value === undefined ? "value" : { value };
    } catch {
      return "value";
    }
  }

  #owner(key: string): string {
    return this.#options.owner + key;
  }
}

/** What a sealed body is bound to: everything of the entry that is known when it is sealed, so that nothing of it can be changed or moved. */
function sealingContext(parts: {
  readonly codec: number;
  readonly compression: number;
  readonly ttlMs: number;
  readonly staleMs: number;
  readonly tags: readonly string[];
  readonly owner: string;
}): Buffer {
  const { codec, compression, ttlMs, staleMs, tags, owner } = parts;
  return Buffer.from(JSON.stringify(["larder entry 1", codec, compression, String(ttlMs), String(staleMs), tags, owner]), "utf8");
}

/** Passes an id. @throws {CacheError} ERR_CACHE_INVALID_OPTION otherwise */
export function checkId(name: string, part: { readonly id: number } | null | undefined): void {
  // Null, or an empty string from the environment, is not to be taken for none where values were meant to be sealed.
  const id = part === undefined ? 1 : part?.id;
  if (checkCount(`${name}.id`, id) > 255) throw new CacheError("ERR_CACHE_INVALID_OPTION", `${name}.id must be at most 255, got ${id}`);
}
