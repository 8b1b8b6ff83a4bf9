// For those who cache what LLM APIs answer: keys of requests, and the exact-match cache that is made of them.
export type { ExactCacheOptions, ExactCacheStats } from "./exact-cache.ts";
export { ExactCache } from "./exact-cache.ts";
export type { RequestHeaders } from "./keys/answer-headers.ts";
export { isAnswerHeader } from "./keys/answer-headers.ts";
export { canonicalJson } from "./keys/canonical-json.ts";
export type { CanonicalRequest, RequestField, RequestSource } from "./keys/canonical-request.ts";
export { readRequest } from "./keys/canonical-request.ts";
export { embeddingItemKeys } from "./keys/embedding-item-keys.ts";
export type { FieldRole, FieldRoles } from "./keys/field-roles.ts";
export { endpoints, fieldRoles } from "./keys/field-roles.ts";
export type { KeyScope, KeyScopeParts, KeyScopesOptions, Route } from "./keys/key-scope.ts";
export { KeyScopes, partitionOf } from "./keys/key-scope.ts";
export type { RawBodyAliasOptions } from "./keys/raw-body-alias.ts";
export { RawBodyAlias } from "./keys/raw-body-alias.ts";
export type {
  ChatField,
  CompletionField,
  EmbeddingField,
  Endpoint,
  EndpointFields,
  ImageField,
  MessagesField,
  ResponsesField,
} from "./keys/request-fields.ts";
export { requestKey } from "./keys/request-key.ts";
