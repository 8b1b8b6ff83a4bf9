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
      setMaxListeners(0, this.#controller.signal);
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
  if (signal instanceof EventTarget && getMaxListeners(signal) === EventEmitter.defaultMaxListeners)
    setMaxListeners(MANY_LISTENERS, signal);
  signal.addEventListener("abort", listener);
}
