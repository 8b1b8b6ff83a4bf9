export type { FieldDigests, RequestComparison, RequestDifference } from "./keys/compare-requests.ts";
export { compareRequests, differingFields, fieldDigests } from "./keys/compare-requests.ts";
export type { ExplainContext, ExplainedField, ExplainedHeader, Explanation } from "./keys/explain-request.ts";
export { explainRequest } from "./keys/explain-request.ts";
