import type { MaybePromise } from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";
import { isObject, type JsonObject, objectsOf } from "../answers/json.ts";
import { digestOf } from "../security/digest.ts";

/** Notes that processes share. What is not there is `undefined`; trouble is as if nothing were. */
export interface SharedNotes {
  getMany(keys: readonly string[]): Promise<Array<string | undefined>>;
  set(key: string, note: string): Promise<boolean>;
}

/** Milliseconds for which a note is kept. */
export const NOTES_TTL_MS: number = 24 * 3_600_000;
/** Notes kept at most in one process. */
export const MAX_NOTES = 20_000;
/** Ids of a request that are looked up at most, the latest first. */
const MAX_IDS = 8;
/** Characters of an id at most: they are kept with a plan. */
const MAX_ID = 256;

/**
 * What is to be known later of responses that providers keep: who has made which, since nobody else knows its id, and what is charged of those in the background.
 * Each tenant's notes are its own. In memory, and where processes share notes also there.
 */
export class ResponseBook {
  readonly #own = new MemoryCache<string>({ maxEntries: MAX_NOTES, ttlMs: NOTES_TTL_MS, name: "responses" });
  readonly #shared: SharedNotes | undefined;

  constructor(shared?: SharedNotes) {
    this.#shared = shared;
  }

  /** Notes who has made a response: by its id, and by those of its first and last items, of which requests make mention instead. */
  noteMaker(tenant: string, response: JsonObject, providerId: string): void {
    const items = objectsOf(response.output);
    const ids = new Set([response.id, items[0]?.id, items.at(-1)?.id]);
    for (const id of ids) if (typeof id === "string") this.#note(makerKey(tenant, id), providerId);
  }

  /** Who has made what the first known of these ids names; `undefined` when none is known. */
  makerOf(tenant: string, ids: readonly string[]): MaybePromise<string | undefined> {
    const keys = ids.slice(0, MAX_IDS).map((id) => makerKey(tenant, id));
    for (const key of keys) {
      const known = this.#own.get(key);
      if (known !== undefined) return known;
    }
    return keys.length === 0 ? undefined : this.#shared?.getMany(keys).then((notes) => notes.find((note) => note !== undefined));
  }

  /** Notes how many tokens of a response are charged; `Infinity`: all that it costs. */
  noteCharged(tenant: string, id: string, tokens: number): void {
    this.#note(chargedKey(tenant, id), String(tokens));
  }

  /** How many tokens of a response are charged by now; from now on all are. @param unknown what is said of one of which nothing is known; `undefined`: that, and nothing is noted */
  async takeCharged(tenant: string, id: string, unknown: number | undefined): Promise<number | undefined> {
    const key = chargedKey(tenant, id);
    const shared = (await this.#shared?.getMany([key]).catch(() => []))?.[0];
    // Without a pause from here to the note, so that of two who read at once one is charged.
    const notes = [this.#own.get(key), shared].filter((note) => note !== undefined).map(Number);
    const charged = notes.length === 0 ? unknown : Math.max(...notes);
    if (charged !== undefined && charged < Number.POSITIVE_INFINITY) this.noteCharged(tenant, id, Number.POSITIVE_INFINITY);
    return charged;
  }

  #note(key: string, note: string): void {
    this.#own.set(key, note);
    this.#shared?.set(key, note).catch(() => undefined);
  }
}

function makerKey(tenant: string, id: string): string {
  return `maker:${digestOf(`${tenant}\n${id}`)}`;
}

function chargedKey(tenant: string, id: string): string {
  return `charged:${digestOf(`${tenant}\n${id}`)}`;
}

/** What a request goes on from that a provider keeps. */
export interface Continued {
  /** Ids of responses and of their items, the latest first. */
  readonly ids: readonly string[];
  /** Whether it is in a conversation, which is made at the default upstream: making one names no model. */
  readonly isConversation: boolean;
}

/** What a request goes on from. @returns `undefined` when that is nothing */
export function continuedBy(fields: Readonly<Record<"previous_response_id" | "conversation" | "input", unknown>>): Continued | undefined {
  const { previous_response_id: previous, conversation, input } = fields;
  const named = objectsOf(input).map(({ id }) => id);
  const ids = [...named, previous].filter((id) => typeof id === "string" && id.length <= MAX_ID).reverse() as string[];
  const isConversation = typeof conversation === "string" || isObject(conversation);
  return ids.length === 0 && !isConversation ? undefined : { ids: ids.slice(0, MAX_IDS), isConversation };
}
