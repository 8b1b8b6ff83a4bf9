import type { SnapshotReader, SnapshotStore } from "@larder/provider-sync";

/** Milliseconds between attempts to open a store that is away. */
const REOPEN_AFTER_MS = 5_000;

/** How a store is opened that may not be there yet. */
export interface LateStoreOptions {
  open(): Promise<SnapshotStore>;
  /** Hears why an attempt failed; the next one follows by itself. */
  onFailure(error: unknown): void;
}

/**
 * A store that may not be there when the gateway starts: opened behind, again and again until it is closed. Readers wait for the attempt under way, since
 * one that fails is asked again only later, and fail when it does, which they may.
 */
export class LateStore {
  /** The store once it is open; `undefined` when this was closed before: then nothing may begin to work with it. */
  readonly opened: Promise<SnapshotStore | undefined>;
  readonly reader: SnapshotReader = {
    name: "store",
    head: async () => (await this.#there()).head(),
    latest: async () => (await this.#there()).latest(),
  };
  #store: SnapshotStore | undefined;
  #attempt: Promise<unknown> | undefined;
  #isClosed = false;
  #wake = (): void => {};

  constructor(options: LateStoreOptions) {
    this.opened = this.#openUntilThere(options);
  }

  /** Calling it again is fine. An attempt under way is not waited for; what it opens is closed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake();
    await this.#store?.close();
  }

  async #there(): Promise<SnapshotStore> {
    if (!this.#store) await this.#attempt;
    if (!this.#store) throw new Error("the catalog's store is not open");
    return this.#store;
  }

  async #openUntilThere({ open, onFailure }: LateStoreOptions): Promise<SnapshotStore | undefined> {
    while (!this.#isClosed) {
      try {
        const opening = open();
        this.#attempt = opening;
        const store = await opening;
        if (!this.#isClosed) {
          this.#store = store;
          return store;
        }
        await store.close();
      } catch (error) {
        if (!this.#isClosed) await this.#pause(error, onFailure);
      }
    }
    return undefined;
  }

  #pause(error: unknown, onFailure: (error: unknown) => void): Promise<void> {
    onFailure(error);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, REOPEN_AFTER_MS).unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
