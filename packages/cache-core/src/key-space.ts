import { checkCount, checkName } from "./check-option.ts";
import { CacheError } from "./errors.ts";
import { isWellFormed } from "./is-well-formed.ts";

/** Which keys of a Redis belong to one cache. All processes that mean the same cache must agree on all three. */
export interface KeySpaceOptions {
  /** The cache's name among those of one application. Non-empty, without braces and lone surrogates. */
  readonly namespace: string;
  /** What comes before every key, to share a Redis with others. Non-empty, without braces and lone surrogates. @default "larder" */
  readonly keyPrefix?: string;
  /** Lanes, 1 to 16384: 1 for a single server; on a cluster several, so that keys spread over the masters. @default 1 */
  readonly lanes?: number;
}

function checkPart(name: string, value: unknown): string {
  const part = checkName(name, value);
  if (/[{}\p{Cs}]/u.test(part))
    throw new CacheError("ERR_CACHE_INVALID_OPTION", `${name} must have no braces (a hash tag in Redis Cluster) and no lone surrogates`);
  return part;
}

/** FNV-1a over UTF-16 units: spreads keys over lanes; nothing rests on it being hard to collide. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  return value >>> 0;
}

const UTF16_MARK = "\u0000utf16:";

/**
 * The layout of one cache in Redis, shared by the second tier and the bus, which must speak of the same bytes.
 *
 * Everything of one lane carries the same hash tag, `{namespace.lane}`, so that a value, its fence, the lane's version record, log and
 * channel sit in one slot of a cluster and one script can change them together. The lane is a function of the key.
 */
export class KeySpace {
  readonly namespace: string;
  readonly keyPrefix: string;
  readonly lanes: number;
  readonly #base: readonly string[];

  /** @throws {CacheError} ERR_CACHE_INVALID_OPTION when a name is empty, has braces or lone surrogates, or lanes are out of range */
  constructor(options: KeySpaceOptions) {
    const { keyPrefix = "larder", lanes = 1 } = options;
    this.namespace = checkPart("namespace", options.namespace);
    this.keyPrefix = checkPart("keyPrefix", keyPrefix);
    this.lanes = checkCount("lanes", lanes);
    if (this.lanes > 16_384) throw new CacheError("ERR_CACHE_INVALID_OPTION", `lanes must be at most 16384, got ${lanes}`);
    this.#base = Array.from({ length: this.lanes }, (_, lane) => `${this.keyPrefix}:{${this.namespace}.${lane}}:`);
  }

  /**
   * How a key is spelt in Redis, which is what all that follows takes. UTF-8 has no lone surrogates: two keys that differ in them alone would be
   * one there. A key that looks like such a name is spelt the same way, or it would be one with the key that the name stands for.
   */
  nameOf(key: string): string {
    return isWellFormed(key) && !key.startsWith(UTF16_MARK) ? key : UTF16_MARK + Buffer.from(key, "utf16le").toString("hex");
  }

  /** The key behind the name that it has in Redis. */
  keyOf(name: string): string {
    return name.startsWith(UTF16_MARK) ? Buffer.from(name.slice(UTF16_MARK.length), "hex").toString("utf16le") : name;
  }

  /** The lane of a key. */
  laneOf(name: string): number {
    return this.lanes === 1 ? 0 : hash(name) % this.lanes;
  }

  /** Where the lane's own keys begin: what a sweep matches. */
  base(lane: number): string {
    return this.#base[lane] as string;
  }

  /** The entry of a key. */
  value(name: string): string {
    return `${this.base(this.laneOf(name))}v:${name}`;
  }

  /** The token under which fills of a key are accepted. */
  fence(name: string): string {
    return `${this.base(this.laneOf(name))}f:${name}`;
  }

  /** Who loads a key for the fleet. */
  lease(name: string): string {
    return `${this.base(this.laneOf(name))}l:${name}`;
  }

  /** Where the end of a load is told. */
  wakeChannel(name: string): string {
    return `${this.base(this.laneOf(name))}w:${name}`;
  }

  /** The hash with the lane's version: fields epoch, seq, clearedAt, taggedAt, patterns, run. */
  record(lane: number): string {
    return `${this.base(lane)}version`;
  }

  /** The stream of the lane's invalidations; ids are `seq-0`, the field `b` holds the message body. */
  log(lane: number): string {
    return `${this.base(lane)}log`;
  }

  /** Where the lane's invalidations are published. */
  channel(lane: number): string {
    return `${this.base(lane)}bus`;
  }

  /** The last invalidation of a tag, as `epoch:seq`. */
  tag(lane: number, tag: string): string {
    return `${this.base(lane)}t:${tag}`;
  }
}
