import { checkCount, checkName, checkOptions, describeValue, type OptionNames } from "../check-option.ts";
import { CacheError } from "../errors.ts";
import { type RequestHeaders, selectAnswerHeaders } from "./answer-headers.ts";
import { toByteText } from "./byte-text.ts";
import { checkEndpoint } from "./field-roles.ts";
import type { Endpoint } from "./request-fields.ts";
import { sha256OfByteText } from "./sha256.ts";

/** Names the layout of keys and of what is hashed. Another layout gets another number, and old entries are misses. */
export const KEY_FORMAT = "1";

/** Whose request it is, and what besides its body changes the answer. */
export interface KeyScopeParts {
  readonly endpoint: Endpoint;
  /** Whose answers these are, non-empty. May be a credential: only its digest leaves, and all of it counts, not a prefix. */
  readonly tenant: string;
  /** The caller's own partition within the tenant. @default "" */
  readonly namespace?: string;
  /** The request's headers, of which only those are used that change the answer: see `isAnswerHeader`. @default none */
  readonly headers?: RequestHeaders;
}

/** Where a request goes: two upstreams may answer one body differently. */
export interface Route {
  /** The upstream's base URL, as configured. */
  readonly baseUrl: string;
  /** The model's name there, when it is not the one in the body. @default none */
  readonly model?: string;
}

const ROUTE: OptionNames<Route> = { baseUrl: true, model: true };

/** Everything of a key that does not come from the body. Made by `KeyScopes`. */
export class KeyScope {
  readonly endpoint: Endpoint;
  readonly namespace: string;
  /** The headers that are part of the key, as sorted pairs of lower-case name and value, in JSON. */
  readonly headers: string;
  /** The tenant in keys: 64 bits of its digest. Tells tenants apart to a reader; what keeps them apart is `digest`. */
  readonly partition: string;
  /** SHA-256 over endpoint, tenant, namespace and headers, hexadecimal. */
  readonly digest: string;
  /** The same with the configuration version: what raw-body aliases are bound to. */
  readonly aliasDigest: string;
  /** 28 bits of it: spreads the aliases of one body from many tenants. */
  readonly aliasSalt: number;
  #baseUrl: string | undefined;
  #model: string | undefined;
  #route = "null";

  constructor(endpoint: Endpoint, tenant: string, namespace: string, headers: string, configVersion: string) {
    this.endpoint = endpoint;
    this.namespace = namespace;
    this.headers = headers;
    this.partition = partitionOf(tenant);
    this.digest = digestOf(["larder-scope", KEY_FORMAT, endpoint, tenant, namespace, headers]);
    this.aliasDigest = digestOf(["larder-alias", this.digest, configVersion]);
    this.aliasSalt = Number.parseInt(this.aliasDigest.slice(0, 7), 16);
  }

  /** A route as JSON, in byte text. The one used last is kept: a tenant's requests mostly go one way. @throws {CacheError} ERR_CACHE_INVALID_OPTION */
  describeRoute(route: Route | undefined): string {
    // With none, a misspelt one say, all upstreams would share their answers.
    if (route !== undefined && typeof route.baseUrl !== "string")
      throw new CacheError("ERR_CACHE_INVALID_OPTION", `baseUrl of a route must be a string, got ${describeValue(route.baseUrl)}`);
    if (route?.baseUrl !== this.#baseUrl || route?.model !== this.#model) {
      if (route !== undefined) checkOptions(route, ROUTE);
      this.#baseUrl = route?.baseUrl;
      this.#model = route?.model;
      this.#route = route === undefined ? "null" : toByteText(JSON.stringify([route.baseUrl, route.model ?? null]));
    }
    return this.#route;
  }
}

/** SHA-256 of a list of strings, written as JSON: no list of other strings has the same text. */
function digestOf(parts: readonly string[]): string {
  return sha256OfByteText(toByteText(JSON.stringify(parts)));
}

/** How a tenant shows in its keys: what a pattern that drops one tenant begins with. */
export function partitionOf(tenant: string): string {
  return digestOf(["larder-tenant", tenant]).slice(0, 16);
}

/** How scopes are made and kept. */
export interface KeyScopesOptions {
  /** Changes whenever routing, aliases or anything else does that turns bodies into keys: older raw-body aliases then no longer match. @default "" */
  readonly configVersion?: string;
  /** Scopes kept so that the next request of the same tenant need not hash again; all are dropped when there are more. @default 4096 */
  readonly maxScopes?: number;
}

const OPTIONS: OptionNames<KeyScopesOptions> = { configVersion: true, maxScopes: true };
const PARTS: OptionNames<KeyScopeParts> = { endpoint: true, tenant: true, namespace: true, headers: true };
/** Scopes kept of one tenant. */
const MAX_PER_TENANT = 32;

/** Makes scopes, and gives the same object for the same parts: the common request pays a lookup instead of three hashes. */
export class KeyScopes {
  readonly #configVersion: string;
  readonly #maxScopes: number;
  /** By tenant, whose string a gateway keeps and V8 has hashed already; within it a short list is compared field by field. */
  readonly #byTenant = new Map<string, KeyScope[]>();
  #count = 0;

  /** @throws {CacheError} ERR_CACHE_INVALID_OPTION */
  constructor(options: KeyScopesOptions = {}) {
    checkOptions(options, OPTIONS);
    const { configVersion = "", maxScopes = 4096 } = options;
    this.#configVersion = configVersion;
    this.#maxScopes = checkCount("maxScopes", maxScopes);
  }

  /**
   * The scope of a request.
   * @throws {CacheError} ERR_CACHE_INVALID_OPTION when the tenant is not a string of at least one character, the endpoint none of `endpoints`, or the
   * namespace or a header that is part of the key no string
   */
  of(parts: KeyScopeParts): KeyScope {
    const { endpoint, tenant, namespace = "" } = parts;
    const headers = parts.headers === undefined ? "" : selectAnswerHeaders(parts.headers);
    const known = this.#byTenant.get(tenant);
    if (known !== undefined)
      for (const scope of known)
        if (scope.endpoint === endpoint && scope.namespace === namespace && scope.headers === headers) return scope;
    // Here and not before: a scope of a name that there is not is never kept.
    checkOptions(parts, PARTS);
    return this.#make(endpoint, tenant, namespace, headers);
  }

  #make(endpoint: Endpoint, tenant: string, namespace: string, headers: string): KeyScope {
    if (typeof namespace !== "string")
      throw new CacheError("ERR_CACHE_INVALID_OPTION", `namespace must be a string, got ${describeValue(namespace)}`);
    const scope = new KeyScope(checkEndpoint(endpoint), checkName("tenant", tenant), namespace, headers, this.#configVersion);
    // Namespaces and headers are the caller's: a list that they have made long is begun anew, or finding would cost more than making.
    const listed = this.#byTenant.get(tenant);
    if (listed !== undefined && listed.length >= MAX_PER_TENANT) this.#forget(tenant, listed);
    if (this.#count >= this.#maxScopes) this.#forgetAll();
    const known = this.#byTenant.get(tenant);
    if (known === undefined) this.#byTenant.set(tenant, [scope]);
    else known.push(scope);
    this.#count += 1;
    return scope;
  }

  #forget(tenant: string, scopes: readonly KeyScope[]): void {
    this.#byTenant.delete(tenant);
    this.#count -= scopes.length;
  }

  #forgetAll(): void {
    this.#byTenant.clear();
    this.#count = 0;
  }
}
