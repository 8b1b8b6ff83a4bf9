import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { CacheError } from "@larder/cache-core";
import type { SnapshotContent } from "./snapshot.ts";

const compress = promisify(gzip);
const decompress = promisify(gunzip);

/** Bytes of an unpacked document at most: a corrupt or hostile body must not fill the memory. */
const MAX_UNPACKED_BYTES = 512 * 1024 * 1024;
/** Of gzip's levels the one past which a catalog gets hardly smaller and much slower. */
const LEVEL = 4;

/** A content as it is stored and mirrored: the same bytes in every place. */
export interface EncodedContent {
  /** gzip of JSON. */
  readonly body: Uint8Array;
  /** SHA-256 of the JSON, in hex: equal contents have equal digests. */
  readonly digest: string;
}

function digestOf(text: string | Uint8Array): string {
  return createHash("sha256").update(text).digest("hex");
}

/** A content as text: its digest is known, and it is packed only when it is needed. */
export interface SerializedContent {
  readonly digest: string;
  /** Packs the text; compression runs off the main thread. */
  pack(): Promise<EncodedContent>;
}

/** Serializes a content once, for comparing and for storing. */
export function serializeContent(content: SnapshotContent): SerializedContent {
  const bytes = Buffer.from(JSON.stringify(content));
  const digest = digestOf(bytes);
  return { digest, pack: async () => ({ body: await packBytes(bytes), digest }) };
}

/** Packs a content; compression runs off the main thread. */
export function encodeContent(content: SnapshotContent): Promise<EncodedContent> {
  return serializeContent(content).pack();
}

function isContent(value: unknown): value is SnapshotContent {
  const content = value as SnapshotContent | null;
  return (
    typeof content === "object" &&
    content !== null &&
    Array.isArray(content.layers) &&
    content.layers.every((layer) => typeof layer?.source === "string" && Array.isArray(layer.models)) &&
    Array.isArray(content.quarantine) &&
    Array.isArray(content.acceptances)
  );
}

/** Unpacks a content and checks it against its digest. @throws {CacheError} ERR_CACHE_CODEC when it is not what was committed */
export async function decodeContent(encoded: EncodedContent): Promise<SnapshotContent> {
  let parsed: unknown;
  try {
    const bytes = await unpackBytes(encoded.body);
    if (digestOf(bytes) === encoded.digest) parsed = JSON.parse(bytes.toString("utf8"));
  } catch {
    // Told below: the reason may quote the body.
  }
  if (!isContent(parsed)) throw new CacheError("ERR_CACHE_CODEC", "the stored catalog is damaged: body and digest do not agree");
  return parsed;
}

/** gzip, for bodies that are kept as they came. */
export function packBytes(bytes: Uint8Array): Promise<Uint8Array> {
  return compress(bytes, { level: LEVEL });
}

/** The reverse of `packBytes`. Rejects for what is no gzip, or unpacks to too much. */
export function unpackBytes(body: Uint8Array): Promise<Buffer> {
  return decompress(body, { maxOutputLength: MAX_UNPACKED_BYTES });
}
