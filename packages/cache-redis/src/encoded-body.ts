import { isUint8Array } from "node:util/types";
import { CacheError, describeValue } from "@larder/cache-core";
import { type CompressionMethod, type CompressionOptions, createCompressor } from "./compressor.ts";
import type { ValueCodec } from "./value-codec.ts";

/*
 * Bodies that go from the cache to the socket as they are
 *
 * With the option `compression` a cache gives back what was set, so each hit is decompressed: 35 to 84 us for 64 KB of chat JSON, where everything
 * else of a hit takes a few. A server that answers with the value then sends it plain, or compresses it once more. Here the compressed bytes
 * are the value, and the name of their encoding stands beside them: it is made once, when the value is, and every hit hands it on. Only for
 * a client that does not take that encoding is it decompressed. Both tiers hold the short form, so the first one has room for more.
 */

/** How a body is encoded, as HTTP's `Content-Encoding` names it (RFC 9110, section 8.4). `"identity"`: as it is. */
export type ContentEncoding = "identity" | "gzip" | "br" | "zstd";

/** A body of an HTTP answer, ready to be sent. */
export interface EncodedBody {
  /** The bytes as they go over the network. */
  readonly bytes: Buffer;
  /** What `Content-Encoding` must say of them; nothing has to be said of `"identity"`. */
  readonly contentEncoding: ContentEncoding;
}

/** Makes bodies that can be sent as they are stored. */
export interface BodyEncoding {
  /**
   * The body in short, where that is worth it. Costs the compression: do it once, in the loader.
   * @throws {CacheError} ERR_CACHE_CODEC for anything but bytes
   */
  encode(body: Uint8Array): EncodedBody;
  /**
   * The body for a client that sent this `Accept-Encoding`: itself, without any work, or decompressed. A client that sent none is taken
   * for one that decompresses nothing. The answer then depends on that header: say `Vary: Accept-Encoding`.
   * @throws {CacheError} ERR_CACHE_CODEC as `decode`
   */
  negotiate(body: EncodedBody, acceptEncoding: string | undefined): EncodedBody;
  /**
   * The body as it was given to `encode`.
   * @throws {CacheError} ERR_CACHE_CODEC when it is spoiled, larger than `maxOutputBytes`, or by a method that this runtime does not have
   */
  decode(body: EncodedBody): Buffer;
}

/** Their places in this list are stored with entries. */
const ENCODINGS: readonly ContentEncoding[] = ["identity", "gzip", "br", "zstd"];
const METHOD_OF: Readonly<Record<ContentEncoding, CompressionMethod | undefined>> = {
  identity: undefined,
  gzip: "gzip",
  br: "brotli",
  zstd: "zstd",
};
const ENCODING_OF: Readonly<Record<CompressionMethod, ContentEncoding>> = { gzip: "gzip", brotli: "br", zstd: "zstd" };

/** For a cache whose values are `EncodedBody`: one byte for the encoding, then the bytes. A cache that has it needs no `compression`. */
export const encodedBodyCodec: ValueCodec<EncodedBody> = {
  id: 4,
  encode(value) {
    const encoding = ENCODINGS.indexOf(value?.contentEncoding);
    if (encoding < 0 || !isUint8Array(value.bytes))
      throw new CacheError(
        "ERR_CACHE_CODEC",
        `the value must be an EncodedBody, as createBodyEncoding makes it, got ${describeValue(value)}`,
      );
    return Buffer.concat([Buffer.of(encoding), value.bytes]);
  },
  decode(bytes) {
    const contentEncoding = ENCODINGS[bytes[0] ?? ENCODINGS.length];
    if (contentEncoding === undefined) throw new CacheError("ERR_CACHE_CODEC", "the entry names no encoding that is known");
    return { bytes: bytes.subarray(1), contentEncoding };
  },
  sharesBytes: true,
};

/** Whether a client takes an encoding: RFC 9110, section 12.5.3. One that is named counts before the star. */
function isAccepted(encoding: ContentEncoding, acceptEncoding: string): boolean {
  let byStar = false;
  for (const part of acceptEncoding.toLowerCase().split(",")) {
    const [name = "", ...parameters] = part.split(";").map((text) => text.trim());
    const isWanted = !parameters.some((parameter) => /^q\s*=\s*0(\.0*)?$/.test(parameter));
    if (name === encoding || (name === "x-gzip" && encoding === "gzip")) return isWanted;
    if (name === "*") byStar = isWanted;
  }
  return byStar;
}

/**
 * Encodes bodies of HTTP answers so that a hit is sent as it is stored. With `method: "auto"` that is zstd where this runtime has it, which not every client takes:
 * `"brotli"` or `"gzip"` is taken by nearly all of them.
 * @throws {CacheError} ERR_CACHE_INVALID_OPTION for an option that is out of range, or a method that this runtime does not have
 */
export function createBodyEncoding(options: CompressionOptions = {}): BodyEncoding {
  const compressor = createCompressor(options);
  const decode = ({ bytes, contentEncoding }: EncodedBody): Buffer => {
    if (contentEncoding === "identity") return bytes;
    try {
      return compressor.decompress(METHOD_OF[contentEncoding], bytes);
    } catch (error) {
      if (CacheError.is(error)) throw error;
      throw new CacheError(
        "ERR_CACHE_CODEC",
        `the body cannot be decompressed: it is no ${contentEncoding}, or larger than maxOutputBytes`,
      );
    }
  };
  return {
    encode(body) {
      if (!isUint8Array(body))
        throw new CacheError("ERR_CACHE_CODEC", `the body must be a Uint8Array, such as Buffer.from(text), got ${describeValue(body)}`);
      const compressed = compressor.compress(body);
      if (compressed) return { bytes: compressed.bytes, contentEncoding: ENCODING_OF[compressed.method] };
      return {
        bytes: Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength),
        contentEncoding: "identity",
      };
    },
    negotiate(body, acceptEncoding) {
      if (body.contentEncoding === "identity" || isAccepted(body.contentEncoding, acceptEncoding ?? "")) return body;
      return { bytes: decode(body), contentEncoding: "identity" };
    },
    decode,
  };
}
