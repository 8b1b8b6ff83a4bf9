import type { MaybePromise } from "./cache.ts";
import { checkList } from "./check-option.ts";

/**
 * How many of one call's keys are asked of a backend at one time. All at once, those of a long list would wait for each other longer than a call
 * may take: they would count as failures of a backend in good health, whose breaker would open for everybody.
 */
const SLICE = 256;

/**
 * Does something with each of a list, 256 at a time where it takes a while. @returns the answers, in order; at once when all of them are
 * @throws what the first of them throws; {CacheError} ERR_CACHE_INVALID_OPTION when it is no list
 */
export function inSlices<T, R>(items: readonly T[], call: (item: T) => MaybePromise<R>): MaybePromise<R[]> {
  checkList("the list of keys or entries", items);
  const answers: R[] = [];
  for (let from = 0; from < items.length; from += SLICE) {
    const told = forEach(items.slice(from, from + SLICE), call);
    if (!Array.isArray(told)) return goOn(answers, told, items.slice(from + SLICE), call);
    for (const answer of told) answers.push(answer);
  }
  return answers;
}

async function goOn<T, R>(answers: R[], told: Promise<R[]>, rest: readonly T[], call: (item: T) => MaybePromise<R>): Promise<R[]> {
  for (const answer of await told) answers.push(answer);
  for (let from = 0; from < rest.length; from += SLICE) {
    for (const answer of await forEach(rest.slice(from, from + SLICE), call)) answers.push(answer);
  }
  return answers;
}

/** One answer per item; at once when all of them are. */
function forEach<T, R>(items: readonly T[], call: (item: T) => MaybePromise<R>): MaybePromise<R[]> {
  const answers: Array<MaybePromise<R>> = [];
  try {
    for (const item of items) answers.push(call(item));
  } catch (error) {
    // Who gets this error never sees what began before it: none of that may end as an unhandled rejection.
    void Promise.allSettled(answers);
    throw error;
  }
  // Not `instanceof`: zone.js and bluebird put another class in the place of `Promise`, and an async function's promise is none of it.
  return answers.some((answer) => typeof (answer as Partial<Promise<R>> | null | undefined)?.then === "function")
    ? Promise.all(answers)
    : (answers as R[]);
}
