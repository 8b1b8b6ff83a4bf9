import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { CacheEvents, InvalidationTarget } from "@larder/cache-core";

/** Keys and tags told apart at most; beyond, everything counts as dropped. */
const MAX_NOTED = 100_000;

/**
 * What is invalidated while entries from elsewhere are taken in: they are from before, and must not come after it. Patterns are not told apart
 * from all, since they are rare and an import can be repeated.
 */
export class PurgeWatch {
  readonly #namespace: string;
  readonly #onClose: () => void;
  readonly #noted = new Set<string>();
  #isAll = false;

  /** @param namespace whose invalidations by other processes it listens to, until it is closed; those called here are for `note` */
  constructor(namespace: string, onClose: () => void) {
    this.#namespace = namespace;
    this.#onClose = onClose;
    subscribe("larder:invalidation-received", this.#onReceived);
    subscribe("larder:entries-reset", this.#onReset);
  }

  note(target: InvalidationTarget): void {
    if (target.kind === "key") this.#noted.add(nameOfKey(target.key));
    else if (target.kind === "tag") this.#noted.add(nameOfTag(target.tag));
    else this.#isAll = true;
    if (this.#noted.size > MAX_NOTED) this.#isAll = true;
    if (this.#isAll) this.#noted.clear();
  }

  /** Whether an entry from before was dropped meanwhile. */
  covers(key: string, tags: readonly string[]): boolean {
    return this.#isAll || this.#noted.has(nameOfKey(key)) || tags.some((tag) => this.#noted.has(nameOfTag(tag)));
  }

  close(): void {
    unsubscribe("larder:invalidation-received", this.#onReceived);
    unsubscribe("larder:entries-reset", this.#onReset);
    this.#onClose();
  }

  readonly #onReceived = (message: unknown): void => {
    const { namespace, target } = message as CacheEvents["invalidation-received"];
    if (namespace === this.#namespace) this.note(target);
  };

  /** What was missed may have been anything. */
  readonly #onReset = (message: unknown): void => {
    const { namespace } = message as CacheEvents["entries-reset"];
    if (namespace === this.#namespace) this.note({ kind: "all" });
  };
}

function nameOfKey(key: string): string {
  return `k${key}`;
}

function nameOfTag(tag: string): string {
  return `t${tag}`;
}
