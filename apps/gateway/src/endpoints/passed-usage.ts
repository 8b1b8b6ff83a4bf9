import { readUsage, type TokenUsage } from "../answers/family.ts";
import { isObject, type JsonObject, objectsOf, parseObject } from "../answers/json.ts";

/** Bytes of an answer that are read whole. */
const MAX_READ_BYTES = 8 * 1024 * 1024;
/** Bytes at the beginning and at the end of a longer one in which its usage is looked for. */
const MARGIN_BYTES = 64 * 1024;
const USAGE = Buffer.from('"usage"');
const NAME = /^"usage"\s*:\s*(?=\{)/;

/**
 * What a JSON answer that goes past the cache says that it has cost. Long ones are not kept: images and large batches of embeddings have their numbers in
 * megabytes, and the usage stands behind them, or before. A text cannot be taken for it, since its quotes are escaped.
 */
export class PassedUsage {
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

  /** What the whole answer tells. */
  read(): TokenUsage | undefined {
    const kept = Buffer.concat(this.#kept);
    const at = kept.lastIndexOf(USAGE);
    if (!this.#beginning) return at < 0 ? undefined : usageIn(parseObject(kept.toString("utf8")));
    return readAt(kept, at) ?? readAt(this.#beginning, this.#beginning.indexOf(USAGE));
  }
}

/** Usage as every API of OpenAI's and Anthropic's tells it, in whole answers and in events; a stream of Moonshot's that is not asked for it, in its last choice. */
export function usageIn(told: JsonObject | undefined): TokenUsage | undefined {
  const holder =
    told && [told, told.response, told.message, ...objectsOf(told.choices)].filter(isObject).find(({ usage }) => isObject(usage));
  return readUsage(holder?.usage);
}

/** The object behind the name that stands here: numbers, and parts of them. */
function readAt(bytes: Buffer, at: number): TokenUsage | undefined {
  const text = at < 0 ? "" : bytes.toString("utf8", at);
  const from = NAME.exec(text)?.[0].length ?? text.length;
  let depth = 0;
  for (let index = from; index < text.length; index += 1) {
    if (text[index] === "{") depth += 1;
    else if (text[index] === "}") depth -= 1;
    if (depth === 0) return readUsage(parseObject(text.slice(from, index + 1)));
  }
  return undefined;
}
