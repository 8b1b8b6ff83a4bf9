import { CacheError } from "../errors.ts";
import { toByteText } from "./byte-text.ts";
import type { CanonicalRequest } from "./canonical-request.ts";
import { KEY_FORMAT, type KeyScope, type Route } from "./key-scope.ts";
import { sha256OfByteText } from "./sha256.ts";

const READABLE_MODEL = /^[\w./@-]{1,96}$/;

/** Longest readable model in a key. The digest has all of it. */
const MAX_MODEL_LENGTH = 96;

/**
 * A model's name as a part of a key: letters, digits and `_ - . / @` stay, everything else (the separator `:` and glob characters among
 * it) is percent-encoded. Long names are cut; nothing rests on that part, since the digest covers the whole name.
 */
export function encodeModel(model: string): string {
  if (READABLE_MODEL.test(model)) return model;
  if (model === "") return "-";
  const encoded = encodeURIComponent(model.slice(0, MAX_MODEL_LENGTH).replace(/\p{Surrogate}/gu, "\ufffd"))
    .replace(/[!'()*~]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%2F", "/")
    .replaceAll("%40", "@");
  return encoded.length <= MAX_MODEL_LENGTH ? encoded : `${encoded.slice(0, MAX_MODEL_LENGTH - 1)}~`;
}

/**
 * What a key's digest stands for besides the fields: scope, route and the normalizers that ran, each in a place of its own. The scope comes
 * as its digest (64 characters) and the rest as JSON in byte text, so no other scope, route and form have the same text.
 */
export function preimageHead(scope: KeyScope, request: CanonicalRequest, route: Route | undefined): string {
  if (scope.endpoint !== request.endpoint)
    throw new CacheError("ERR_CACHE_INVALID_OPTION", `scope is for ${scope.endpoint} requests, the request is for ${request.endpoint}`);
  // Names may hold anything, such as the pattern of a normalizer: hashed as they are, characters past a byte would lose all but their last one.
  const normalizers = request.normalizers.length === 0 ? "" : toByteText(JSON.stringify(request.normalizers));
  return `${scope.digest}${scope.describeRoute(route)}${normalizers}`;
}

/** `format:partition:endpoint:model:digest`, for a digest already made. */
export function formatKey(scope: KeyScope, request: CanonicalRequest, digest: string): string {
  return `${KEY_FORMAT}:${scope.partition}:${scope.endpoint}:${encodeModel(request.model)}:${digest}`;
}

/**
 * The cache key of a request: `chat:{model}:{digest}` inside the tenant's partition and the format version, for example
 * `1:5f2c0e9d1ab37c44:chat:gpt-4o-mini:` and 64 hexadecimal digits. The digest is SHA-256 over the scope, the route and the canonical form
 * of all fields that are not on the deny list. Nothing in a key is secret or longer than 200 characters.
 * @throws {CacheError} ERR_CACHE_INVALID_OPTION when scope and request are for different endpoints, or the route has no `baseUrl`
 */
export function requestKey(scope: KeyScope, request: CanonicalRequest, route?: Route): string {
  return formatKey(scope, request, sha256OfByteText(preimageHead(scope, request, route) + request.keyForm()));
}
