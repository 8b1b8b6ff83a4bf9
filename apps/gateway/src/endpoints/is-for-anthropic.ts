import type { Exchange } from "../http/exchange.ts";

/** Anthropic's messages, and what is below them: counting their tokens, batches of them. */
const ANTHROPIC_PATH = /^\/v1\/messages(\/|$)/;

/**
 * Whether a request that is answered by its path alone speaks Anthropic's API. Both have models and files, below the same paths; each request to
 * Anthropic's says which version of it is spoken, and none to OpenAI's does.
 */
export function isForAnthropic(exchange: Pick<Exchange, "path" | "header">): boolean {
  return ANTHROPIC_PATH.test(exchange.path) || exchange.header("anthropic-version") !== undefined;
}
