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

/** One form of one answer: where it stands, and under which name. Not the answer itself, which would be kept alive when the cache has let go of it. */
interface KeptForm {
  readonly forms: Map<string, Buffer>;
  readonly name: string;
}

/** Places of forms that were dropped already beyond which the queue is cut. */
const MAX_EMPTY_PLACES = 1_000;

/**
 * Keeps answers as ready bytes in the forms that were asked for. A stream's form is several times larger than the answer itself, so forms
 * have a budget of their own; beyond it, those rendered longest ago are dropped, and rendered anew when asked for.
 */
export class RenderedForms {
  readonly #maxBytes: number;
  readonly #queue: Array<KeptForm | undefined> = [];
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
    this.#queue.push({ forms: answer.forms, name });
    this.#bytes += rendered.length;
    while (this.#bytes > this.#maxBytes && this.#oldest < this.#queue.length) this.#dropOldest();
    if (this.#oldest > MAX_EMPTY_PLACES) {
      this.#queue.splice(0, this.#oldest);
      this.#oldest = 0;
    }
  }

  #dropOldest(): void {
    const { forms, name } = this.#queue[this.#oldest] as KeptForm;
    this.#queue[this.#oldest] = undefined;
    this.#oldest += 1;
    this.#bytes -= forms.get(name)?.length ?? 0;
    forms.delete(name);
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
