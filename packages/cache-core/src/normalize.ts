export { dropSystemDate } from "./keys/drop-system-date.ts";
export type { NormalizedRequest } from "./keys/normalize-request.ts";
export { normalizeRequest } from "./keys/normalize-request.ts";
export type { JsonObject, Normalizer, NormalizerChange } from "./keys/normalizer.ts";
export { renumberToolCalls } from "./keys/renumber-tool-calls.ts";
export { trimTrailingSpace } from "./keys/trim-trailing-space.ts";
