import { Cancellation } from "@larder/cache-core";
import type { Exchange } from "./exchange.ts";

/** The caller's leaving before the answer's end. Watched for when somebody first asks: a hit is answered before anyone does. */
export class Departure extends Cancellation {
  readonly #exchange: Exchange;
  readonly #onLeft: () => void;
  #isWatched = false;

  /** @param onLeft called once when the caller leaves */
  constructor(exchange: Exchange, onLeft: () => void) {
    super();
    this.#exchange = exchange;
    this.#onLeft = onLeft;
  }

  /** Watches from now on; `aborted` at once when the caller has left already. */
  watched(): this {
    if (this.#isWatched) return this;
    this.#isWatched = true;
    this.#exchange.onAbandoned(() => this.leave());
    return this;
  }

  /** The caller has left, or is sent away because it does not take its answer. */
  leave(): void {
    this.#onLeft();
    this.abort(new DOMException("The caller has left.", "AbortError"));
  }
}
