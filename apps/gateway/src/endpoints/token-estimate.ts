import type { TokenUsage } from "../answers/family.ts";

/** Characters of a token, on average over languages and code. */
const CHARACTERS = 4;
/** Bytes around the text of one event of a stream. */
const EVENT_BYTES = 256;
/** Letters in a row beyond which a run is no text but an image or a sound in base64. */
const LONGEST_WORD = 512;
/** What a provider counts for such a run, whatever its length: about a thousand for an image. */
const RUN_TOKENS = 1_000;

/** How much of a stream has come. */
export interface StreamExtent {
  readonly events: number;
  readonly bytes: number;
}

/** Of an answer that was left before its beginning. */
export const NOTHING_CAME: StreamExtent = { events: 0, bytes: 0 };

/**
 * What a call may have cost whose provider has not said so: it was left before its end, or no usage was asked for. Limits go by it, prices
 * never.
 */
export function estimateUsage(request: Buffer | undefined, { events, bytes }: StreamExtent): TokenUsage {
  const text = Math.ceil(Math.max(0, bytes - events * EVENT_BYTES) / CHARACTERS);
  return { inputTokens: request ? estimateTokens(request) : 0, outputTokens: Math.max(events, text) };
}

function estimateTokens(request: Buffer): number {
  let characters = 0;
  let runs = 0;
  let word = 0;
  for (const byte of request) {
    if (isInWord(byte)) {
      word += 1;
      continue;
    }
    if (word > LONGEST_WORD) runs += 1;
    else characters += word;
    characters += 1;
    word = 0;
  }
  return Math.ceil(characters / CHARACTERS) + runs * RUN_TOKENS;
}

/** The characters of base64. */
function isInWord(byte: number): boolean {
  return (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x2f && byte <= 0x39) || byte === 0x2b;
}
