import type { Exchange } from "./exchange.ts";

/**
 * The caller's leaving before the answer's end, as a signal. Made when somebody first asks for the signal: a hit is answered before anyone
 * does, and an `AbortController` with its listener costs a twentieth of a hit.
 */
export class Departure {
  readonly #exchange: Exchange;
  readonly #onLeft: () => void;
  #controller: AbortController | undefined;

  /** @param onLeft called once when the caller leaves */
  constructor(exchange: Exchange, onLeft: () => void) {
    this.#exchange = exchange;
    this.#onLeft = onLeft;
  }

  /** Aborted when the caller leaves. */
  get signal(): AbortSignal {
    if (this.#controller) return this.#controller.signal;
    const controller = new AbortController();
    this.#controller = controller;
    this.#exchange.onAbandoned(() => {
      this.#onLeft();
      controller.abort();
    });
    return controller.signal;
  }

  /** Whether the caller is known to have left. */
  get hasHappened(): boolean {
    return this.#controller?.signal.aborted ?? false;
  }
}
