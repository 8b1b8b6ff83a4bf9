import { checkCount, checkOptions } from "../check-option.ts";
import { CacheError } from "../errors.ts";
import type { KeyScope } from "./key-scope.ts";
import { sha256OfBytes } from "./sha256.ts";

/** Entries a digest may take: the places of one bucket. */
const WAYS = 4;

/** The places are made at once: a table without bound is none. */
const MAX_PLACES = 2 ** 24;

/** How many aliases are kept. */
export interface RawBodyAliasOptions {
  /** Aliases held at most, an integer from 4 to 16777216; rounded down to a power of two. About 150 bytes each, and what the values hold. @default 16384 */
  readonly maxEntries?: number;
}

/**
 * From the bytes of a body to what was once worked out about them (its key, whether it streams), so that a repeated byte-identical
 * request pays for one SHA-256 and not for reading JSON.
 *
 * An alias is bound to tenant, endpoint, namespace, headers and configuration version through the scope's `aliasDigest`: the same bytes
 * from another tenant find nothing. Authentication and limits come before it. It is never invalidated, since what it says (these bytes
 * have this key) does not age; whether the key has an entry is asked of the cache.
 *
 * The table is an array of buckets with four places, found by bits of the digest itself and of the scope. A `Map` would hash the digest's text once more,
 * which at 1 KB is a fifth of the SHA-256. Digests are compared whole (collisions of 256 bits are the only false friends), and the place
 * written longest ago in a bucket makes room: bounded by construction, and a flood of other bodies costs hits, not memory.
 */
export class RawBodyAlias<V> {
  readonly #bucketMask: number;
  readonly #digests: string[];
  readonly #scopes: string[];
  readonly #values: Array<V | undefined>;
  #writes = 0;
  #size = 0;

  /** @throws {CacheError} ERR_CACHE_INVALID_OPTION when `maxEntries` is not an integer from 4 to 2^24 */
  constructor(options: RawBodyAliasOptions = {}) {
    checkOptions(options, { maxEntries: true });
    const { maxEntries = 16_384 } = options;
    if (checkCount("maxEntries", maxEntries, WAYS) > MAX_PLACES)
      throw new CacheError("ERR_CACHE_INVALID_OPTION", `maxEntries must be an integer from ${WAYS} to ${MAX_PLACES}, got ${maxEntries}`);
    const places = 2 ** Math.floor(Math.log2(maxEntries));
    this.#bucketMask = places / WAYS - 1;
    this.#digests = new Array<string>(places).fill("");
    this.#scopes = new Array<string>(places).fill("");
    this.#values = new Array<V | undefined>(places).fill(undefined);
  }

  /** Aliases held. */
  get size(): number {
    return this.#size;
  }

  /** The digest of a body, to be handed to `get` and `set`. SHA-256, 32 characters that stand for a byte each. */
  digest(bytes: Uint8Array): string {
    return sha256OfBytes(bytes);
  }

  /** What was remembered for these bytes in this scope, or `undefined`. */
  get(scope: KeyScope, digest: string): V | undefined {
    const first = this.#bucketOf(scope, digest);
    for (let place = first; place < first + WAYS; place += 1)
      if (this.#digests[place] === digest && this.#scopes[place] === scope.aliasDigest) return this.#values[place];
    return undefined;
  }

  /** Remembers a value for these bytes in this scope. */
  set(scope: KeyScope, digest: string, value: V): void {
    const first = this.#bucketOf(scope, digest);
    let free = -1;
    for (let place = first; place < first + WAYS; place += 1) {
      if (this.#digests[place] === digest && this.#scopes[place] === scope.aliasDigest) {
        this.#values[place] = value;
        return;
      }
      if (free < 0 && this.#digests[place] === "") free = place;
    }
    if (free < 0) free = first + (this.#writes++ % WAYS);
    else this.#size += 1;
    this.#digests[free] = digest;
    this.#scopes[free] = scope.aliasDigest;
    this.#values[free] = value;
  }

  /** Forgets all of them. */
  clear(): void {
    this.#digests.fill("");
    this.#scopes.fill("");
    this.#values.fill(undefined);
    this.#size = 0;
  }

  #bucketOf(scope: KeyScope, digest: string): number {
    const bits = digest.charCodeAt(0) | (digest.charCodeAt(1) << 8) | (digest.charCodeAt(2) << 16);
    return ((bits ^ scope.aliasSalt) & this.#bucketMask) * WAYS;
  }
}
