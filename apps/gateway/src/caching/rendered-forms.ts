import type { AnswerFamily } from "../answers/family.ts";
import { parseObject } from "../answers/json.ts";
import { relabel } from "../answers/labels.ts";
import { markLongNumbers, restoreLongNumbers } from "../answers/long-numbers.ts";
import { hasPartials, takePartials } from "../answers/partial-images.ts";
import type { StoredAnswer } from "./stored-answer.ts";

/** How an answer is told. */
export interface Form {
  readonly isStream: boolean;
  /** The closing usage chunk, for streams. */
  readonly includeUsage: boolean;
  /** Token counts at zero: the usage policy `zero`. */
  readonly isZeroUsage: boolean;
  /** The request whose labels are told, where they are others than those of the request that the answer was made for. */
  readonly labelledBy?: Buffer | undefined;
}

/**
 * Keeps answers as ready bytes in the forms that were asked for. A stream's form is several times larger than the answer itself, so forms
 * have a budget of their own; beyond it, the answers rendered longest ago lose theirs and are rendered anew when asked for.
 */
export class RenderedForms {
  readonly #maxBytes: number;
  readonly #queue: StoredAnswer[] = [];
  #oldest = 0;
  #bytes = 0;

  /** @param maxBytes bytes of all forms together, >= 1 */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The answer in one form. A JSON answer as it came is its own bytes. `undefined` for one that is too deep or too long to be written anew. */
  render(answer: StoredAnswer, family: AnswerFamily, form: Form): Buffer | undefined {
    // Hardly any two callers' labels are the same.
    if (form.labelledBy) return renderForm(answer, family, form);
    if (!form.isStream && !form.isZeroUsage && !hasPartials(answer.body)) return answer.body;
    const name = `${form.isStream ? "sse" : "json"}${form.includeUsage ? "+usage" : ""}${form.isZeroUsage ? "+zero" : ""}`;
    const known = answer.forms?.get(name);
    if (known) return known;
    const rendered = renderForm(answer, family, form);
    if (rendered) this.#keep(answer, name, rendered);
    return rendered;
  }

  #keep(answer: StoredAnswer, name: string, rendered: Buffer): void {
    if (rendered.length > this.#maxBytes / 4) return;
    answer.forms ??= new Map();
    answer.forms.set(name, rendered);
    this.#queue.push(answer);
    this.#bytes += rendered.length;
    while (this.#bytes > this.#maxBytes && this.#oldest < this.#queue.length) this.#dropOldest();
    if (this.#oldest > 1_000) {
      this.#queue.splice(0, this.#oldest);
      this.#oldest = 0;
    }
  }

  #dropOldest(): void {
    const answer = this.#queue[this.#oldest] as StoredAnswer;
    this.#oldest += 1;
    for (const form of answer.forms?.values() ?? []) this.#bytes -= form.length;
    answer.forms = undefined;
  }
}

function renderForm(answer: StoredAnswer, family: AnswerFamily, form: Form): Buffer | undefined {
  const stored = parseObject(markLongNumbers(answer.body.toString("utf8"))) ?? {};
  const parsed = form.labelledBy ? relabel(stored, form.labelledBy) : stored;
  try {
    const told = form.isZeroUsage ? family.withZeroUsage(parsed) : parsed;
    const text = form.isStream ? family.replay(told, { includeUsage: form.includeUsage }) : JSON.stringify(takePartials(told).whole);
    return Buffer.from(restoreLongNumbers(text));
  } catch (error) {
    // Of the stack or of a string's length: what `JSON.parse` reads, `JSON.stringify` need not be able to write.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
