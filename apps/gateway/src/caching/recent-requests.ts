import { type Clock, systemClock } from "@larder/cache-core";
import { differingFields, type FieldDigests } from "@larder/cache-core/explain";
import type { CanonicalRequest, KeyScope } from "@larder/cache-core/keys";
import { boundedFieldDigests, byName, listFieldDigests } from "./field-digests.ts";

/** Requests remembered at most: with all the fields that one may have, about 8 MB. */
const MAX_REQUESTS = 2_000;
/**
 * Requests remembered in one second at most. At full rate they would be digests of the last quarter of a second, at a fiftieth of a miss's time; so
 * they are of ten seconds at least.
 */
const MAX_PER_SECOND = 200;
const SECOND_MS = 1_000;

/** A request as it is remembered, and as workers tell each other of it: what it was about, by digest. Prompts are not kept. */
export interface RecentRequest {
  readonly key: string;
  readonly partition: string;
  readonly endpoint: string;
  /** Tenant, endpoint, namespace and headers, as bits. */
  readonly scopeBits: readonly [number, number];
  /** A digest of each top-level field that is part of the key. */
  readonly fields: FieldDigests;
}

/** The same as it is held: put into words when somebody asks, since every miss is remembered and hardly one is looked at. */
interface HeldRequest {
  readonly key: string;
  readonly partition: string;
  readonly endpoint: string;
  readonly scopeDigest: string;
  /** Each field's name, and after it its digest. */
  readonly digests: readonly string[];
}

/** Requests that only one field keeps apart. */
export interface NearMisses {
  /** The field. */
  readonly field: string;
  /** Requests that would share an entry with another one if the field did not count. */
  readonly requests: number;
  /** Entries that they would share. */
  readonly entries: number;
}

/** How many requests have each field and are otherwise equal: by field, then by what the rest of the request says. */
type Groups = Map<string, Map<number, number>>;

/**
 * Remembers what the last requests were made of, to answer why one missed and which fields keep otherwise equal ones apart.
 *
 * Two requests are kept apart by a field alone when they are equal without it. A request is therefore summed up as the sum of the
 * digests of its fields, read as numbers, and what it says without one of them is that sum less one number: each request is looked at once
 * for each field that it has, where comparing texts would look at all requests for each field that any of them has.
 */
export class RecentRequests {
  readonly #requests: HeldRequest[] = [];
  #next = 0;
  readonly #clock: Clock;
  #secondAt = Number.NEGATIVE_INFINITY;
  #inSecond = 0;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Remembers a request that was read, unless many were within this second. */
  add(scope: KeyScope, request: CanonicalRequest, key: string): void {
    const now = this.#clock.now();
    if (now - this.#secondAt >= SECOND_MS) {
      this.#secondAt = now;
      this.#inSecond = 0;
    }
    this.#inSecond += 1;
    if (this.#inSecond > MAX_PER_SECOND) return;
    const { partition, endpoint, digest: scopeDigest } = scope;
    this.#requests[this.#next] = { key, partition, endpoint, scopeDigest, digests: listFieldDigests(request) };
    this.#next = (this.#next + 1) % MAX_REQUESTS;
  }

  /** Those remembered, in no order. */
  get all(): readonly RecentRequest[] {
    return this.#requests.map(({ key, partition, endpoint, scopeDigest, digests }) => {
      return { key, partition, endpoint, scopeBits: bitsOf(scopeDigest), fields: byName(digests) };
    });
  }
}

/** Of `known`, the request of the same tenant and endpoint that has the fewest other fields, and which those are. */
export function nearestRequest(
  known: readonly RecentRequest[],
  { partition, endpoint }: Pick<KeyScope, "partition" | "endpoint">,
  request: CanonicalRequest,
  key: string,
): { readonly key: string; readonly differs: string[] } | undefined {
  const fields = boundedFieldDigests(request);
  let best: { key: string; differs: string[] } | undefined;
  for (const other of known) {
    if (other.key === key || other.partition !== partition || other.endpoint !== endpoint) continue;
    const differs = differingFields(fields, other.fields);
    if (!best || differs.length < best.differs.length) best = { key: other.key, differs };
  }
  return best;
}

/** For each field, how many of the requests it alone keeps apart; the worst first. One that several workers remember counts once. */
export function nearMisses(known: readonly RecentRequest[]): NearMisses[] {
  const groups: Groups = new Map();
  const wholes = new Map<number, number>();
  for (const request of new Map(known.map((each) => [each.key, each])).values()) countIn(request, groups, wholes);
  return [...groups]
    .map(([field, rests]) => countApart(field, rests, wholes))
    .filter((found) => found.requests > 0)
    .sort((left, right) => right.requests - left.requests);
}

function countIn({ scopeBits, fields }: RecentRequest, groups: Groups, wholes: Map<number, number>): void {
  const parts = Object.entries(fields).map(([name, digest]) => ({ name, bits: bitsOf(digest) }));
  const high = parts.reduce((sum, { bits }) => (sum + bits[0]) >>> 0, scopeBits[0]);
  const low = parts.reduce((sum, { bits }) => (sum + bits[1]) >>> 0, scopeBits[1]);
  increment(wholes, signature(high, low));
  for (const { name, bits } of parts) {
    const rests = groups.get(name) ?? new Map<number, number>();
    groups.set(name, rests);
    increment(rests, signature((high - bits[0]) >>> 0, (low - bits[1]) >>> 0));
  }
}

/** Those who have the field, and those who say the rest and do not have it. */
function countApart(field: string, rests: ReadonlyMap<number, number>, wholes: ReadonlyMap<number, number>): NearMisses {
  let requests = 0;
  let entries = 0;
  for (const [rest, having] of rests) {
    const count = having + (wholes.get(rest) ?? 0);
    if (count < 2) continue;
    requests += count;
    entries += 1;
  }
  return { field, requests, entries };
}

function increment(counts: Map<number, number>, of: number): void {
  counts.set(of, (counts.get(of) ?? 0) + 1);
}

/** 53 bits: enough to tell some ten thousands apart. */
const signature = (high: number, low: number): number => high * 0x20_0000 + (low >>> 11);

/** A digest as two numbers. */
function bitsOf(digest: string): readonly [number, number] {
  return [Number.parseInt(digest.slice(0, 8), 16), Number.parseInt(digest.slice(8, 16), 16)];
}
