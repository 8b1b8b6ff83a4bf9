import { kMaxLength } from "node:buffer";
import * as zlib from "node:zlib";
import { CacheError, checkCount, checkOptions, type OptionNames } from "@larder/cache-core";

/** How bodies are compressed. */
export type CompressionMethod = "zstd" | "brotli" | "gzip";

/** What is compressed, and by what. */
export interface CompressionOptions {
  /**
   * The method for new entries; all that this runtime has are read. @default "auto": zstd where `node:zlib` has it (Node 22.15, 23.8), else
   * gzip up to 16 KB and brotli above, both at their fastest
   */
  readonly method?: CompressionMethod | "auto";
  /** Bodies below this many bytes are left alone, integer >= 1. Below 1 KB what is saved does not pay for the header. @default 1024 */
  readonly minBytes?: number;
  /** A body that would be larger than this, uncompressed, is refused when read, and left uncompressed when stored; integer >= 1. @default 67108864 (64 MiB) */
  readonly maxOutputBytes?: number;
}

const OPTIONS: OptionNames<CompressionOptions> = { method: true, minBytes: true, maxOutputBytes: true };

/** A body and the method that made it smaller. */
export interface CompressedBody {
  readonly method: CompressionMethod;
  readonly bytes: Buffer;
}

/** Compresses what is worth it, and gives it back. */
export interface Compressor {
  /** `undefined` where it is not worth it. */
  compress(body: Uint8Array): CompressedBody | undefined;
  /** @throws {CacheError} ERR_CACHE_CODEC for a method that this runtime does not have; the runtime's own errors for what is not of that method, or too large */
  decompress(method: CompressionMethod | undefined, body: Buffer): Buffer;
}

/** zstd came to `node:zlib` after Node 20, and so to the types. */
interface Zstd {
  zstdCompressSync(body: Uint8Array, options: { readonly params: Readonly<Record<number, number>> }): Buffer;
  zstdDecompressSync(body: Uint8Array, options: { readonly maxOutputLength: number }): Buffer;
}

/** All methods; their places in this list are stored with entries. */
export const METHODS: readonly CompressionMethod[] = ["zstd", "brotli", "gzip"];
/** Compressed bodies smaller than this share of the plain one are kept; others cost a decompression and save nothing. */
const WORTHWHILE_SHARE = 0.9;
/** From this size on brotli at quality 1 is faster than gzip at level 1, and denser (measured at 8 and 64 KB). */
const BROTLI_FROM_BYTES = 16_384;
/** The number of the compression level among zstd's parameters (ZSTD_c_compressionLevel). */
const ZSTD_LEVEL = 100;

function findZstd(): Zstd | undefined {
  const candidate = zlib as unknown as Partial<Zstd>;
  return candidate.zstdCompressSync && candidate.zstdDecompressSync ? (candidate as Zstd) : undefined;
}

function compressBy(method: CompressionMethod, body: Uint8Array, zstd: Zstd | undefined): Buffer {
  if (method === "zstd" && zstd) return zstd.zstdCompressSync(body, { params: { [ZSTD_LEVEL]: 1 } });
  if (method === "brotli") {
    return zlib.brotliCompressSync(body, {
      params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1, [zlib.constants.BROTLI_PARAM_SIZE_HINT]: body.length },
    });
  }
  return zlib.gzipSync(body, { level: 1 });
}

function decompressBy(method: CompressionMethod | undefined, body: Buffer, maxOutputLength: number, zstd: Zstd | undefined): Buffer {
  if (method === "gzip") return zlib.gunzipSync(body, { maxOutputLength });
  if (method === "brotli") return zlib.brotliDecompressSync(body, { maxOutputLength });
  if (method === "zstd" && zstd) return zstd.zstdDecompressSync(body, { maxOutputLength });
  throw new CacheError("ERR_CACHE_CODEC", "the body is compressed by a method that this runtime does not have");
}

/** @throws {CacheError} ERR_CACHE_INVALID_OPTION for an option that is out of range, or a method that this runtime does not have */
export function createCompressor(options: CompressionOptions): Compressor {
  checkOptions(options, OPTIONS);
  const { method = "auto", minBytes = 1_024, maxOutputBytes = 67_108_864 } = options;
  checkCount("minBytes", minBytes);
  checkCount("maxOutputBytes", maxOutputBytes);
  const zstd = findZstd();
  if (method !== "auto" && !METHODS.includes(method))
    throw new CacheError("ERR_CACHE_INVALID_OPTION", "method must be zstd, brotli, gzip or auto");
  if (method === "zstd" && !zstd)
    throw new CacheError("ERR_CACHE_INVALID_OPTION", 'method "zstd" needs a Node whose node:zlib has it; use "auto"');
  const choose = (bytes: number): CompressionMethod => {
    if (method !== "auto") return method;
    return zstd ? "zstd" : bytes < BROTLI_FROM_BYTES ? "gzip" : "brotli";
  };
  return {
    compress(body) {
      // A larger one could be stored, and never be read again.
      if (body.length < minBytes || body.length > maxOutputBytes) return undefined;
      const chosen = choose(body.length);
      const bytes = compressBy(chosen, body, zstd);
      return bytes.length + 1 > body.length * WORTHWHILE_SHARE ? undefined : { method: chosen, bytes };
    },
    decompress: (chosen, body) => decompressBy(chosen, body, Math.min(maxOutputBytes, kMaxLength), zstd),
  };
}
