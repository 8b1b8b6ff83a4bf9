import { type AbortSignalLike, Cancellation } from "@larder/cache-core";
import type { Departure } from "../http/departure.ts";
import type { StoredAnswer } from "./stored-answer.ts";

/** A call that replaces a stored answer, and those who wait for it. */
interface Refresh {
  /** Monotonic milliseconds. */
  readonly beganAt: number;
  /** Aborted when the last of those who wait has left. */
  readonly cancellation: Cancellation;
  /** What names its load. */
  readonly load: AbortSignalLike | undefined;
  readonly answer: Promise<StoredAnswer | undefined>;
  waiting: number;
}

/** What came of the wish for a younger answer. */
export interface Refreshed {
  readonly answer: Promise<StoredAnswer | undefined>;
  /** Whether somebody else's call brings it. */
  readonly isJoined: boolean;
}

/**
 * The calls that replace stored answers because those are older than their callers will have (`max-age`). Who finds the same answer too old meanwhile
 * shares the call, where it is young enough for them: a herd made as many calls as it had heads, since a load that is forced begins anew
 * for each.
 */
export class Refreshes {
  readonly #byKey = new Map<string, Refresh>();
  readonly #loading: (key: string) => AbortSignalLike | undefined;

  /** @param loading what names a key's load in flight: one that was invalidated is none, and is not joined */
  constructor(loading: (key: string) => AbortSignalLike | undefined) {
    this.#loading = loading;
  }

  /**
   * Joins the key's refresh, if it began less than `maxAgeMs` ago, or begins one.
   * @param start begins the load, which ends with the signal that it is given
   */
  join(
    key: string,
    maxAgeMs: number,
    departure: Departure,
    start: (signal: AbortSignalLike) => Promise<StoredAnswer | undefined>,
  ): Refreshed {
    const running = this.#byKey.get(key);
    const isJoined = running !== undefined && performance.now() - running.beganAt < maxAgeMs && this.#loading(key) === running.load;
    const refresh = isJoined ? running : this.#begin(key, start);
    return { answer: waitFor(refresh, departure), isJoined };
  }

  #begin(key: string, start: (signal: AbortSignalLike) => Promise<StoredAnswer | undefined>): Refresh {
    const beganAt = performance.now();
    const cancellation = new Cancellation();
    const answer = start(cancellation);
    const refresh: Refresh = { beganAt, cancellation, load: this.#loading(key), answer, waiting: 0 };
    this.#byKey.set(key, refresh);
    const forget = (): void => {
      if (this.#byKey.get(key) === refresh) this.#byKey.delete(key);
    };
    answer.then(forget, forget);
    return refresh;
  }
}

/** Waits as one of perhaps many. Whoever leaves is freed alone, and the last one ends the call. */
function waitFor(refresh: Refresh, departure: Departure): Promise<StoredAnswer | undefined> {
  refresh.waiting += 1;
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      refresh.waiting -= 1;
      if (refresh.waiting === 0) refresh.cancellation.abort(departure.reason);
      reject(departure.reason);
    };
    if (departure.watched().aborted) return leave();
    departure.addEventListener("abort", leave);
    refresh.answer.then(resolve, reject).finally(() => departure.removeEventListener("abort", leave));
  });
}
