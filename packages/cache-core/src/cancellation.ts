import { EventEmitter, getMaxListeners, setMaxListeners } from "node:events";
import type { AbortSignalLike } from "./cache.ts";

/**
 * What an `AbortController` does, for the price of an object: on Node 20 every `AbortSignal` costs some microseconds and gets hidden
 * classes of its own, with which nothing that it is handed to stays optimized. A real one is made for who asks for it.
 */
export class Cancellation implements AbortSignalLike {
  #isAborted = false;
  #reason: unknown;
  /** Most have one listener, which costs no list. */
  #listener: (() => void) | undefined;
  #listeners: Set<() => void> | undefined;
  #controller: AbortController | undefined;

  get aborted(): boolean {
    return this.#isAborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  /** The same as a real signal. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      // A loader may make many requests with it, and Node would call more than ten of them a leak.
      allowListeners(this.#controller.signal, 0);
      if (this.#isAborted) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** Called once, when it is aborted; never when it was before. */
  addEventListener(_type: "abort", listener: () => void): void {
    if (this.#listener === undefined || this.#listener === listener) {
      this.#listener = listener;
      return;
    }
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    if (this.#listener === listener) this.#listener = undefined;
    this.#listeners?.delete(listener);
  }

  /** Tells everyone, once. What a listener throws keeps nobody else from being told: it is uncaught, as a real signal's is. */
  abort(reason: unknown): void {
    if (this.#isAborted) return;
    this.#isAborted = true;
    this.#reason = reason;
    const first = this.#listener;
    const others = this.#listeners;
    this.#listener = undefined;
    this.#listeners = undefined;
    if (first) tell(first);
    if (others) for (const listener of others) if (listener !== first) tell(listener);
    this.#controller?.abort(reason);
  }
}

/** Who aborts is not to blame for what a listener does. */
function tell(listener: () => void): void {
  try {
    listener();
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

/** Listeners that a caller's signal may have before Node warns of a leak: as many as undici allows. */
const MANY_LISTENERS = 1_500;

/** Hears of an abort. Many calls may share one signal, each of which takes its listener away again: from the eleventh on Node would call that a leak. */
export function listenForAbort(signal: AbortSignalLike, listener: () => void): void {
  if (signal instanceof EventTarget) allowListeners(signal, MANY_LISTENERS);
  signal.addEventListener("abort", listener);
}

/**
 * Raises Node's own bound, where nobody has set another; 0 = none. Node refuses signals that are not of its making: the environments of a
 * browser in which tests may run (jsdom, happy-dom) put theirs in its place, and those count no listeners.
 */
function allowListeners(signal: EventTarget, count: number): void {
  try {
    if (getMaxListeners(signal) === EventEmitter.defaultMaxListeners) setMaxListeners(count, signal);
  } catch {
    // Not Node's, and without such a bound.
  }
}
