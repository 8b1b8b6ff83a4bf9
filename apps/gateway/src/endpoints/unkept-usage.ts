import { readUsage, type TokenUsage } from "../answers/family.ts";
import { isObject, type JsonObject, objectsOf, parseObject } from "../answers/json.ts";

/** Bytes of an answer that are read whole. */
const MAX_READ_BYTES = 8 * 1024 * 1024;
/** Bytes at the beginning and at the end of a longer one in which its usage is looked for. */
const MARGIN_BYTES = 64 * 1024;
/** Bytes of a usage at most. */
const MAX_USAGE_BYTES = 4 * 1024;
const USAGE = Buffer.from('"usage"');
const NAME = /^"usage"\s*:\s*(?=\{)/;

/**
 * What an answer that is not kept says that it has cost: JSON past the cache, or a stream that is too long. Long ones are not held here either: images and
 * large batches of embeddings have their numbers in megabytes, and the usage stands behind them, or before; streams of messages tell some of it at
 * either end. A text cannot be taken for it, since its quotes are escaped.
 */
export class UnkeptUsage {
  /** All of it, or the last pieces of one that is too long. */
  #kept: Buffer[] = [];
  #keptBytes = 0;
  /** The beginning of one that is too long. */
  #beginning: Buffer | undefined;

  push(chunk: Buffer): void {
    this.#kept.push(chunk);
    this.#keptBytes += chunk.length;
    if (this.#keptBytes <= MAX_READ_BYTES && !this.#beginning) return;
    this.#beginning ??= Buffer.from(Buffer.concat(this.#kept).subarray(0, MARGIN_BYTES));
    let first = this.#kept[0];
    for (; first && this.#keptBytes - first.length >= MARGIN_BYTES; first = this.#kept[0]) {
      this.#kept.shift();
      this.#keptBytes -= first.length;
    }
  }

  /** The whole answer, where it tells a usage, be it `null`; `undefined` of one that is too long. */
  whole(): JsonObject | undefined {
    const kept = Buffer.concat(this.#kept);
    return this.#beginning || kept.indexOf(USAGE) < 0 ? undefined : parseObject(kept.toString("utf8"));
  }

  /** What the whole answer tells. */
  read(whole = this.whole()): TokenUsage | undefined {
    if (!this.#beginning) return usageIn(whole);
    const kept = Buffer.concat(this.#kept);
    return most(lastUsageIn(kept), readAt(this.#beginning, this.#beginning.indexOf(USAGE)));
  }
}

/** What is told twice is told of less the first time. */
function most(last: TokenUsage | undefined, first: TokenUsage | undefined): TokenUsage | undefined {
  if (!last || !first) return last ?? first;
  const [inputTokens, outputTokens] = [Math.max(last.inputTokens, first.inputTokens), Math.max(last.outputTokens, first.outputTokens)];
  return { ...first, ...last, inputTokens, outputTokens };
}

/** Usage as every API of OpenAI's and Anthropic's tells it, in whole answers and in events; a stream of Moonshot's that is not asked for it, in its last choice. */
export function usageIn(told: JsonObject | undefined): TokenUsage | undefined {
  const holder =
    told && [told, told.response, told.message, ...objectsOf(told.choices)].filter(isObject).find(({ usage }) => isObject(usage));
  return readUsage(holder?.usage);
}

/** The last that is told at the end of these bytes: what comes after it may tell `null`. */
export function lastUsageIn(whole: Buffer): TokenUsage | undefined {
  const bytes = whole.subarray(-MARGIN_BYTES);
  for (let at = bytes.lastIndexOf(USAGE); at >= 0; at = at === 0 ? -1 : bytes.lastIndexOf(USAGE, at - 1)) {
    const usage = readAt(bytes, at);
    if (usage) return usage;
  }
  return undefined;
}

/** The object behind the name that stands here: numbers, and parts of them. */
function readAt(bytes: Buffer, at: number): TokenUsage | undefined {
  const text = at < 0 ? "" : bytes.toString("utf8", at, at + MAX_USAGE_BYTES);
  const from = NAME.exec(text)?.[0].length ?? text.length;
  let depth = 0;
  for (let index = from; index < text.length; index += 1) {
    if (text[index] === "{") depth += 1;
    else if (text[index] === "}") depth -= 1;
    if (depth === 0) return readUsage(parseObject(text.slice(from, index + 1)));
  }
  return undefined;
}
