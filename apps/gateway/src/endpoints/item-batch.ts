import { type AbortSignalLike, Cancellation } from "@larder/cache-core";

/** Milliseconds that a batch waits for items whose look-up takes longer than that of others. */
const LINGER_MS = 4;

/** Computes the items at these positions together; cancelled when nobody waits for any of them any more. */
export type ComputeItems<T> = (positions: readonly number[], cancellation: AbortSignalLike) => Promise<readonly T[]>;

/** An item that has to be computed, and whoever waits for it. */
interface Wanted<T> {
  readonly position: number;
  readonly cancellation: AbortSignalLike;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Gathers the items of one request that turn out not to be stored, and has them computed together. Items are looked up side by side and come
 * to know that they are missing at different times: the batch leaves when all have been decided, or a moment after the first.
 */
export class ItemBatch<T> {
  readonly #compute: ComputeItems<T>;
  #undecided: number;
  #wanted: Array<Wanted<T>> = [];
  #timer: NodeJS.Timeout | undefined;

  /** @param count items that will each be decided once */
  constructor(count: number, compute: ComputeItems<T>) {
    this.#undecided = count;
    this.#compute = compute;
  }

  /** The item is not stored: computes it with the others, unless nobody waits for it any more by then. It still has to be decided. */
  want(position: number, cancellation: AbortSignalLike): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#wanted.push({ position, cancellation, resolve, reject });
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
    const wanted: Array<Wanted<T>> = [];
    for (const item of this.#wanted) {
      if (item.cancellation.aborted) item.reject(item.cancellation.reason);
      else wanted.push(item);
    }
    this.#wanted = [];
    if (wanted.length === 0) return;
    this.#compute(
      wanted.map((item) => item.position),
      cancelledWithAll(wanted),
    ).then(
      (values) => {
        for (const [index, item] of wanted.entries()) item.resolve(values[index] as T);
      },
      (error: unknown) => {
        for (const item of wanted) item.reject(error);
      },
    );
  }
}

/** Other requests may wait for some of the items: the call goes on for as long as anybody does. */
function cancelledWithAll(wanted: ReadonlyArray<Pick<Wanted<unknown>, "cancellation">>): AbortSignalLike {
  const all = new Cancellation();
  let staying = wanted.length;
  for (const { cancellation } of wanted)
    cancellation.addEventListener("abort", () => {
      staying -= 1;
      if (staying === 0) all.abort(cancellation.reason);
    });
  return all;
}
