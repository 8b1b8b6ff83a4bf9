import { differingFields, type FieldDigests, fieldDigests } from "@larder/cache-core/explain";
import type { CanonicalRequest, KeyScope } from "@larder/cache-core/keys";

/** Requests remembered at most. */
const MAX_REQUESTS = 2_000;

/** A request as it is remembered: what it was about, by digest. Prompts are not kept. */
export interface RecentRequest {
  readonly key: string;
  readonly partition: string;
  readonly endpoint: string;
  readonly model: string;
  /** A digest of each top-level field that is part of the key. */
  readonly fields: FieldDigests;
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

/** Remembers what the last requests were made of, to answer why one missed and which fields keep otherwise equal ones apart. */
export class RecentRequests {
  readonly #requests: RecentRequest[] = [];
  #next = 0;

  /** Remembers a request that was keyed for the first time. */
  add(scope: KeyScope, request: CanonicalRequest, key: string): RecentRequest {
    const remembered = { key, partition: scope.partition, endpoint: scope.endpoint, model: request.model, fields: fieldDigests(request) };
    this.#requests[this.#next] = remembered;
    this.#next = (this.#next + 1) % MAX_REQUESTS;
    return remembered;
  }

  /** The remembered request of the same tenant and endpoint that has the fewest other fields, and which those are. */
  nearest(
    partition: string,
    endpoint: string,
    request: CanonicalRequest,
    key: string,
  ): { readonly key: string; readonly differs: string[] } | undefined {
    const fields = fieldDigests(request);
    let best: { key: string; differs: string[] } | undefined;
    for (const known of this.#requests) {
      if (known.key === key || known.partition !== partition || known.endpoint !== endpoint) continue;
      const differs = differingFields(fields, known.fields);
      if (!best || differs.length < best.differs.length) best = { key: known.key, differs };
    }
    return best;
  }

  /** For each field, how many of the remembered requests it alone keeps apart; the worst first. */
  nearMisses(): NearMisses[] {
    const names = new Set(this.#requests.flatMap((request) => Object.keys(request.fields)));
    return [...names]
      .map((field) => this.#countApart(field))
      .filter((found) => found.requests > 0)
      .sort((left, right) => right.requests - left.requests);
  }

  #countApart(field: string): NearMisses {
    const groups = new Map<string, Set<string>>();
    for (const request of this.#requests) {
      const rest = Object.entries(request.fields)
        .filter(([name]) => name !== field)
        .map((pair) => pair.join("="));
      const signature = [request.partition, request.endpoint, ...rest].join(" ");
      const keys = groups.get(signature) ?? new Set();
      groups.set(signature, keys.add(request.key));
    }
    const shared = [...groups.values()].filter((keys) => keys.size > 1);
    return { field, requests: shared.reduce((sum, keys) => sum + keys.size, 0), entries: shared.length };
  }
}
