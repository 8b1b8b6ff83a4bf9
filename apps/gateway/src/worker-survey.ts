import type { MaybePromise } from "@larder/cache-core";

/*
 * Workers share a port, so that a request for numbers reaches any one of them, which knows its own share. It asks the primary, the primary
 * asks every worker that runs, and whoever was asked tells the caller about all of them.
 *
 * A worker that does not answer in time, or dies meanwhile, is left out and not waited for: one that stands still must not take the
 * metrics of the others with it. Nor is it asked again before it has said something: what it is asked, entries of an import among it, would wait in
 * the primary's memory.
 */

/** Milliseconds that the primary waits for a worker's answer. */
const ANSWER_WITHIN_MS = 2_000;
/** Milliseconds that a worker waits for the primary. */
const RESULT_WITHIN_MS = 4_000;

/** Asks every process of this gateway the same, itself included. */
export interface Survey {
  /** Says how this process answers a question; `about`: what it was asked about, as JSON carries it. */
  answer(topic: string, read: (about: unknown) => MaybePromise<unknown>): void;
  /** The answers, as JSON carries them. A process that does not answer is left out. @throws when nobody does */
  ask(topic: string, about?: unknown): Promise<readonly unknown[]>;
}

/** A process by itself. */
export class SoloSurvey implements Survey {
  readonly #answers = new Map<string, (about: unknown) => MaybePromise<unknown>>();

  answer(topic: string, read: (about: unknown) => MaybePromise<unknown>): void {
    this.#answers.set(topic, read);
  }

  async ask(topic: string, about?: unknown): Promise<readonly unknown[]> {
    return [await this.#answers.get(topic)?.(about)];
  }
}

/** One end of a channel that carries JSON. */
export interface SurveyEnd {
  send(message: SurveyMessage): void;
  listen(onMessage: (message: unknown) => void): void;
}

/** What goes between primary and workers. */
export type SurveyMessage =
  | { readonly survey: "ask"; readonly id: number; readonly topic: string; readonly about?: unknown }
  | { readonly survey: "question"; readonly id: number; readonly topic: string; readonly about?: unknown }
  | { readonly survey: "answer"; readonly id: number; readonly value: unknown }
  | { readonly survey: "result"; readonly id: number; readonly values: readonly unknown[] };

function isSurveyMessage(message: unknown): message is SurveyMessage {
  return typeof message === "object" && message !== null && "survey" in message;
}

/** A worker's part. */
export class WorkerSurvey implements Survey {
  readonly #end: SurveyEnd;
  readonly #answers = new Map<string, (about: unknown) => MaybePromise<unknown>>();
  readonly #asked = new Map<number, (values: readonly unknown[]) => void>();
  #lastId = 0;

  constructor(end: SurveyEnd) {
    this.#end = end;
    end.listen((message) => {
      if (!isSurveyMessage(message)) return;
      if (message.survey === "question") void this.#tell(message.id, message.topic, message.about);
      else if (message.survey === "result") this.#asked.get(message.id)?.(message.values);
    });
  }

  answer(topic: string, read: (about: unknown) => MaybePromise<unknown>): void {
    this.#answers.set(topic, read);
  }

  ask(topic: string, about?: unknown): Promise<readonly unknown[]> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#asked.delete(id);
        reject(new Error("the primary process did not answer"));
      }, RESULT_WITHIN_MS);
      this.#asked.set(id, (values) => {
        this.#asked.delete(id);
        clearTimeout(timer);
        if (values.length > 0) resolve(values);
        else reject(new Error("no worker answered"));
      });
      this.#end.send({ survey: "ask", id, topic, about });
    });
  }

  async #tell(id: number, topic: string, about: unknown): Promise<void> {
    let value: unknown;
    try {
      value = await this.#answers.get(topic)?.(about);
    } catch {}
    // Whoever fails says so by saying nothing, which is not waited for.
    this.#end.send({ survey: "answer", id, value });
  }
}

/** A question that is being answered. */
interface Round {
  readonly values: unknown[];
  readonly waiting: Set<SurveyEnd>;
  finish(): void;
}

/** The primary's part. */
export class SurveyHub {
  readonly #workers = new Set<SurveyEnd>();
  readonly #rounds = new Map<number, Round>();
  /** Workers that have not answered in time, and have said nothing since. */
  readonly #silent = new Set<SurveyEnd>();
  #lastId = 0;

  /** A worker is up. @returns what to call when it has ended */
  add(worker: SurveyEnd): () => void {
    this.#workers.add(worker);
    worker.listen((message) => {
      if (!isSurveyMessage(message)) return;
      this.#silent.delete(worker);
      if (message.survey === "ask") this.#begin(worker, message.id, message.topic, message.about);
      else if (message.survey === "answer") this.#take(worker, message.id, message.value);
    });
    return () => {
      this.#workers.delete(worker);
      this.#silent.delete(worker);
      for (const round of this.#rounds.values()) this.#leave(round, worker);
    };
  }

  #begin(asker: SurveyEnd, askersId: number, topic: string, about: unknown): void {
    this.#lastId += 1;
    const id = this.#lastId;
    const asked = [...this.#workers].filter((worker) => !this.#silent.has(worker));
    const round: Round = {
      values: [],
      waiting: new Set(asked),
      finish: () => {
        clearTimeout(timer);
        this.#rounds.delete(id);
        asker.send({ survey: "result", id: askersId, values: round.values });
      },
    };
    const timer = setTimeout(() => {
      for (const worker of round.waiting) this.#silent.add(worker);
      round.finish();
    }, ANSWER_WITHIN_MS);
    this.#rounds.set(id, round);
    for (const worker of asked) worker.send({ survey: "question", id, topic, about });
  }

  #take(worker: SurveyEnd, id: number, value: unknown): void {
    const round = this.#rounds.get(id);
    if (!round?.waiting.has(worker)) return;
    if (value !== undefined) round.values.push(value);
    this.#leave(round, worker);
  }

  #leave(round: Round, worker: SurveyEnd): void {
    if (round.waiting.delete(worker) && round.waiting.size === 0) round.finish();
  }
}
