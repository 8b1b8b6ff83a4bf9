export type { NormalizedRequest } from "./keys/normalize-request.ts";
export { normalizeRequest } from "./keys/normalize-request.ts";
export type { JsonObject, Normalizer, NormalizerChange } from "./keys/normalizer.ts";
export { dropSystemDate, renumberToolCalls, trimTrailingSpace } from "./keys/normalizers.ts";
