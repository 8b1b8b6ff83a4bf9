import { MemoryCache } from "@larder/cache-memory";
import { MAX_NOTES, NOTES_TTL_MS, type SharedNotes } from "./caching/response-book.ts";
import type { Survey } from "./worker-survey.ts";

const TOPIC = "note";

/**
 * Notes that the workers of one machine share where there is no Redis: each is told to all of them, and each keeps what it hears. A worker that takes another's place
 * begins without any.
 */
export class WorkerNotes implements SharedNotes {
  readonly #heard = new MemoryCache<string>({ maxEntries: MAX_NOTES, ttlMs: NOTES_TTL_MS, name: "notes" });
  readonly #survey: Survey;

  constructor(survey: Survey) {
    this.#survey = survey;
    survey.answer(TOPIC, (about) => {
      const [key, note] = about as [key: string, note: string];
      return this.#heard.set(key, note);
    });
  }

  async getMany(keys: readonly string[]): Promise<Array<string | undefined>> {
    return keys.map((key) => this.#heard.get(key));
  }

  async set(key: string, note: string): Promise<boolean> {
    await this.#survey.ask(TOPIC, [key, note]);
    return true;
  }
}
