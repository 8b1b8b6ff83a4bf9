import type { LoadContext, Loader } from "@larder/cache-core";

/** A load that tells when it has begun, and ends when it is told to. */
export class HeldLoad {
  /** How often the loader was called. */
  calls = 0;
  /** What the loader was given when it was called first. */
  readonly begun: Promise<LoadContext<unknown>>;
  #begin: (context: LoadContext<unknown>) => void = () => {};
  #end: (value: unknown) => void = () => {};
  #fail: (error: unknown) => void = () => {};
  readonly #result: Promise<unknown>;

  constructor() {
    this.begun = new Promise((resolve) => {
      this.#begin = resolve;
    });
    this.#result = new Promise((resolve, reject) => {
      this.#end = resolve;
      this.#fail = reject;
    });
    // One that nobody asks for is no unhandled rejection.
    this.#result.catch(() => {});
  }

  readonly loader: Loader<unknown> = (context) => {
    this.calls += 1;
    this.#begin(context);
    return this.#result;
  };

  end(value: unknown): void {
    this.#end(value);
  }

  fail(error: unknown): void {
    this.#fail(error);
  }
}
