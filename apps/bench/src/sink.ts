/**
 * A black hole for results. The optimizer may remove work whose result nobody uses, and then a batch measures nothing; what has been
 * swallowed here is observable, so the work must be done.
 */
class Sink {
  #seen: unknown;
  #count = 0;

  /** Takes a value. Comparing with the former one forces it to exist without keeping more than one alive. */
  swallow(value: unknown): void {
    if (this.#seen !== value) this.#count = (this.#count + 1) | 0;
    this.#seen = value;
  }

  /** How many changes were seen: reading it makes the writes observable. */
  get count(): number {
    return this.#count;
  }
}

/** The one black hole of this process. */
export const sink: Sink = new Sink();
