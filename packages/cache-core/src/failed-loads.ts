/** Errors held back at most; beyond, the oldest is forgotten and its key may be tried again. */
const MAX_ERRORS = 1_000;

/** A load's error, and until when callers get it instead of a new try. */
interface FailedLoad {
  readonly error: unknown;
  readonly until: number;
}

/** Loads that failed and are not tried again for `errorTtlMs`. Errors are kept apart from values: no tier ever holds one. */
export class FailedLoads {
  readonly #failures: Map<string, FailedLoad> = new Map();

  /** Holds an error back until an instant of the monotonic clock. */
  add(key: string, error: unknown, until: number): void {
    this.#failures.delete(key);
    this.#failures.set(key, { error, until });
    if (this.#failures.size <= MAX_ERRORS) return;
    const oldest = this.#failures.keys().next();
    if (!oldest.done) this.#failures.delete(oldest.value);
  }

  /** The failure that a caller gets now, if there is one. */
  find(key: string, now: number): { readonly error: unknown } | undefined {
    if (this.#failures.size === 0) return undefined;
    const failure = this.#failures.get(key);
    if (failure && now >= failure.until) {
      this.#failures.delete(key);
      return undefined;
    }
    return failure;
  }

  /** Lets a key be tried again. */
  delete(key: string): void {
    this.#failures.delete(key);
  }

  /** Lets every key be tried again. */
  clear(): void {
    this.#failures.clear();
  }
}
