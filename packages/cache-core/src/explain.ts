export type { RequestComparison, RequestDifference } from "./keys/compare-requests.ts";
export { compareRequests } from "./keys/compare-requests.ts";
export type { ExplainContext, ExplainedField, ExplainedHeader, Explanation } from "./keys/explain-request.ts";
export { explainRequest } from "./keys/explain-request.ts";
export type { FieldDigests } from "./keys/field-digests.ts";
export { differingFields, fieldDigests } from "./keys/field-digests.ts";
