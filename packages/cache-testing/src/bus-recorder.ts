import type { Invalidation, InvalidationListener, InvalidationTarget, ResetReason } from "@larder/cache-core";

/** A listener that writes down what a bus tells it, and can be waited on. */
export class BusRecorder implements InvalidationListener {
  /** Invalidations in the order in which they were told. */
  readonly heard: Invalidation[] = [];
  /** Reasons of resets in the order in which they were told. */
  readonly resets: ResetReason[] = [];
  /** Proofs in the order in which they were told. */
  readonly proofs: number[] = [];
  /** How often a proof was taken back. */
  proofsLost = 0;
  readonly #waiting: Set<() => void> = new Set();

  /** What was invalidated, in order. */
  get targets(): InvalidationTarget[] {
    return this.heard.map(({ target }) => target);
  }

  onInvalidation(invalidation: Invalidation): void {
    this.heard.push(invalidation);
    this.#wake();
  }

  onReset(reason: ResetReason): void {
    this.resets.push(reason);
    this.#wake();
  }

  onProof(provenAt: number): void {
    this.proofs.push(provenAt);
    this.#wake();
  }

  onProofLost(): void {
    this.proofsLost += 1;
    this.#wake();
  }

  /** Resolves when `holds` does, asked after every event. @throws when it does not within `timeoutMs` */
  until(what: string, holds: () => boolean, timeoutMs = 30_000): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (end: () => void): void => {
        clearTimeout(timer);
        this.#waiting.delete(ask);
        end();
      };
      const ask = (): void => {
        if (holds()) finish(resolve);
      };
      const timer = setTimeout(() => finish(() => reject(new Error(`${what}: not within ${timeoutMs} ms`))), timeoutMs);
      this.#waiting.add(ask);
      ask();
    });
  }

  /** Resolves at the first proof that reaches an instant: what was published before it has been told. */
  proofOf(instant: number): Promise<void> {
    return this.until(`a proof of ${instant}`, () => (this.proofs.at(-1) ?? -Infinity) >= instant);
  }

  #wake(): void {
    for (const ask of [...this.#waiting]) ask();
  }
}
