/** Writes that nobody waits for, kept so that `close` can. None of them ends as an unhandled rejection. */
export class BackgroundWrites {
  readonly #writes: Set<Promise<unknown>> = new Set();

  /** Takes a write in, until it is over. */
  add(write: Promise<unknown>): void {
    const tracked = write.catch(() => {}).finally(() => this.#writes.delete(tracked));
    this.#writes.add(tracked);
  }

  /** Waits for those that are under way. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#writes]);
  }
}
