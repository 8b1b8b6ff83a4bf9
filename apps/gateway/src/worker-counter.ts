import type { KeyLimits } from "./config/schema.ts";
import { CountTable } from "./security/count-table.ts";
import type { KeyCounts, Refusal } from "./security/key-counts.ts";
import type { SharedCounter, SharedEntry } from "./security/rate-limiter.ts";
import { withinMs } from "./security/within-ms.ts";

/*
 * Workers share a port, so that the requests of one key reach all of them. Their primary counts for all: a key has its limits on the machine, however many workers
 * there are. A request waits for it a moment at most; while it does not answer, each worker counts for itself, as it always does beside.
 */

/** Milliseconds that a request waits for the primary. */
const ANSWER_WITHIN_MS = 25;
/** Questions without an answer beyond which the primary is not asked: what is sent to one that stands still stays in this process's memory. */
const MAX_UNANSWERED = 1_000;

/** What goes between primary and workers. */
export type CounterMessage =
  | { readonly limits: "enter"; readonly id: number; readonly keyId: string; readonly held: KeyLimits }
  | { readonly limits: "leave"; readonly id: number }
  | { readonly limits: "charge"; readonly keyId: string; readonly tokens: number }
  | { readonly limits: "entered"; readonly id: number; readonly refusal: Refusal | null };

/** One end of a channel that carries JSON in the order in which it was sent. */
export interface CounterEnd {
  send(message: CounterMessage): void;
  listen(onMessage: (message: unknown) => void): void;
}

function isCounterMessage(message: unknown): message is CounterMessage {
  return typeof message === "object" && message !== null && "limits" in message;
}

/** A worker's part. */
export class WorkerCounter implements SharedCounter {
  readonly counts: ReadonlyArray<keyof KeyLimits>;
  readonly #end: CounterEnd;
  readonly #asked = new Map<number, (refusal: Refusal | null) => void>();
  #lastId = 0;
  #lastAnswered = 0;

  /** @param counts what the primary counts: less than all where something else counts for more than this machine */
  constructor(end: CounterEnd, counts: ReadonlyArray<keyof KeyLimits>) {
    this.#end = end;
    this.counts = counts;
    end.listen((message) => {
      if (!isCounterMessage(message) || message.limits !== "entered") return;
      this.#lastAnswered = message.id;
      this.#asked.get(message.id)?.(message.refusal);
    });
  }

  enter(keyId: string, limits: KeyLimits): SharedEntry {
    if (this.#isUnanswered) return { refusal: Promise.resolve(undefined), leave: () => undefined };
    this.#lastId += 1;
    const id = this.#lastId;
    const answer = new Promise<Refusal | null>((resolve) => this.#asked.set(id, resolve));
    this.#end.send({ limits: "enter", id, keyId, held: limits });
    const refusal = withinMs(answer, ANSWER_WITHIN_MS).finally(() => this.#asked.delete(id));
    // The primary knows whether it has counted it, be its answer late or not.
    return { refusal, leave: () => this.#end.send({ limits: "leave", id }) };
  }

  charge(keyId: string, tokens: number): void {
    if (!this.#isUnanswered) this.#end.send({ limits: "charge", keyId, tokens });
  }

  get #isUnanswered(): boolean {
    return this.#lastId - this.#lastAnswered >= MAX_UNANSWERED;
  }
}

/** The primary's part. */
export class CounterHub {
  readonly #table: CountTable;
  readonly #clock: () => number;

  /** @param clock monotonic milliseconds */
  constructor(table: CountTable = new CountTable(), clock: () => number = () => performance.now()) {
    this.#table = table;
    this.#clock = clock;
  }

  /** Counts for a worker. @returns what to call when it has ended: what it was answering is over */
  add(worker: CounterEnd): () => void {
    const running = new Map<number, KeyCounts>();
    worker.listen((message) => {
      if (!isCounterMessage(message)) return;
      const now = this.#clock();
      if (message.limits === "enter") {
        const { id, keyId, held } = message;
        const counts = this.#table.of(keyId, now);
        const refusal = counts.enter(now, held) ?? null;
        if (!refusal) running.set(id, counts);
        worker.send({ limits: "entered", id, refusal });
      } else if (message.limits === "leave") {
        running.get(message.id)?.leave();
        running.delete(message.id);
      } else if (message.limits === "charge") this.#table.of(message.keyId, now).charge(now, message.tokens);
    });
    return () => {
      for (const counts of running.values()) counts.leave();
      running.clear();
    };
  }
}
