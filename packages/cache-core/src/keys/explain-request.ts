import { fromByteText } from "./byte-text.ts";
import { type CanonicalRequest, type RequestSource, readRequest } from "./canonical-request.ts";
import type { FieldRole } from "./field-roles.ts";
import type { KeyScope, Route } from "./key-scope.ts";
import { normalizeRequest } from "./normalize-request.ts";
import type { Normalizer, NormalizerChange } from "./normalizer.ts";
import { requestKey } from "./request-key.ts";
import { sha256OfByteText } from "./sha256.ts";

/** What is to be explained besides the body. */
export interface ExplainContext {
  /** Tenant, endpoint, namespace and headers. */
  readonly scope: KeyScope;
  /** Where the request would go. @default none */
  readonly route?: Route;
  /** The normalizers in force. @default none */
  readonly normalizers?: readonly Normalizer[];
}

/** What happened to one top-level field, and why. */
export interface ExplainedField {
  readonly name: string;
  /** `"unclassified"`: in no table, and therefore part of the key. */
  readonly role: FieldRole | "unclassified";
  readonly isInKey: boolean;
  /** The reason in a sentence. */
  readonly why: string;
  /** Bytes of the value in canonical form. */
  readonly bytes: number;
}

/** A header that is part of the key. Values are told by digest: some name accounts. */
export interface ExplainedHeader {
  readonly name: string;
  /** 32 bits of SHA-256 over name and value: equal for equal headers. */
  readonly digest: string;
}

/** A key and how it came about. */
export interface Explanation {
  readonly key: string;
  /** The canonical JSON of the fields in the key, normalized: what the digest stands for besides scope and route. */
  readonly canonicalJson: string;
  readonly fields: readonly ExplainedField[];
  /** Fields that tie the request to something kept upstream, for which it should go past the cache. */
  readonly statefulFields: readonly string[];
  /** The tenant as it shows in the key. */
  readonly partition: string;
  readonly namespace: string;
  readonly headers: readonly ExplainedHeader[];
  readonly route: Route | undefined;
  /** What the normalizers changed. */
  readonly changes: readonly NormalizerChange[];
  /** Why they did not run although there are some. */
  readonly skippedNormalizers: "inexact-numbers" | undefined;
}

const reasons: Readonly<Record<FieldRole | "unclassified", string>> = {
  answer: "It changes the answer.",
  state: "It ties the request to something kept upstream: such a request should go past the cache.",
  retention: "It says whether the upstream keeps the answer: what was not kept (`false`) is an entry of its own.",
  transport: "It says how the answer travels: one entry is rendered either way.",
  identity: "It says who asks: the tenant keeps askers apart.",
  noise: "It is for billing, labels or the provider's own caches, and does not change the answer.",
  unclassified: "Nobody has classified it, so it may change the answer.",
};

function explainFields(request: CanonicalRequest): ExplainedField[] {
  return request.fields.map((field) => {
    const role = field.role ?? "unclassified";
    return { name: field.name, role, isInKey: field.isInKey, why: reasons[role], bytes: field.form.length };
  });
}

function explainHeaders(headers: string): ExplainedHeader[] {
  if (headers === "") return [];
  const pairs = JSON.parse(headers) as readonly string[];
  return pairs.map((pair) => ({
    name: (JSON.parse(pair) as readonly [string, unknown])[0],
    digest: sha256OfByteText(Buffer.from(pair, "utf8").toString("latin1")).slice(0, 8),
  }));
}

/**
 * Says what went into a request's key and what did not. The canonical JSON holds the prompt: for the request's owner and operators alone.
 * @throws {CacheError} ERR_CACHE_INVALID_REQUEST when the body cannot be keyed
 */
export function explainRequest(source: RequestSource, context: ExplainContext): Explanation {
  const { scope, route, normalizers = [] } = context;
  const { request, changes, skipped } = normalizeRequest(readRequest(scope.endpoint, source), normalizers);
  return {
    key: requestKey(scope, request, route),
    canonicalJson: fromByteText(request.keyForm()),
    fields: explainFields(request),
    statefulFields: request.statefulFields,
    partition: scope.partition,
    namespace: scope.namespace,
    headers: explainHeaders(scope.headers),
    route,
    changes,
    skippedNormalizers: skipped,
  };
}
