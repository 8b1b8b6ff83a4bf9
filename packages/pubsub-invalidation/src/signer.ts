export type { BodySigner } from "./body-signer.ts";
export { createBodySigner } from "./body-signer.ts";
