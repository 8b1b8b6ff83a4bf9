/** Milliseconds that a batch waits for items whose look-up takes longer than that of others. */
const LINGER_MS = 4;

/** An item that has to be computed, and whoever waits for it. */
interface Wanted<T> {
  readonly position: number;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Gathers the items of one request that turn out not to be stored, and has them computed together. Items are looked up side by side and come
 * to know that they are missing at different times: the batch leaves when all have been decided, or a moment after the first.
 */
export class ItemBatch<T> {
  readonly #compute: (positions: readonly number[]) => Promise<readonly T[]>;
  #undecided: number;
  #wanted: Array<Wanted<T>> = [];
  #timer: NodeJS.Timeout | undefined;

  /** @param count items that will each be decided once */
  constructor(count: number, compute: (positions: readonly number[]) => Promise<readonly T[]>) {
    this.#undecided = count;
    this.#compute = compute;
  }

  /** The item is not stored: computes it with the others. */
  want(position: number): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#wanted.push({ position, resolve, reject });
      this.decide();
      this.#timer ??= setTimeout(() => this.#leave(), LINGER_MS);
    });
  }

  /** One more item is decided: stored, wanted, or somebody else's work. */
  decide(): void {
    this.#undecided -= 1;
    if (this.#undecided <= 0) queueMicrotask(() => this.#leave());
  }

  #leave(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const wanted = this.#wanted;
    if (wanted.length === 0) return;
    this.#wanted = [];
    this.#compute(wanted.map((item) => item.position)).then(
      (values) => {
        for (const [index, item] of wanted.entries()) item.resolve(values[index] as T);
      },
      (error: unknown) => {
        for (const item of wanted) item.reject(error);
      },
    );
  }
}
