import type { MaybePromise } from "@larder/cache-core";

/** Something that holds connections, timers or files. */
export interface Closable {
  close(): MaybePromise<void>;
}

/**
 * What a gateway has opened, floor by floor: parts stand on those of the floors below. They are closed from the top, each floor when the one above is
 * closed; the parts of a floor together, since several of them wait for the same Redis. A part that cannot be closed keeps none of the others open.
 */
export class Teardown {
  readonly #floors: Closable[][] = [[]];
  #closing: Promise<void> | undefined;

  /** What is added from now on stands on what was added before. */
  nextFloor(): void {
    this.#floors.push([]);
  }

  /** @returns the part, which is closed with its floor */
  add<T extends Closable>(part: T): T {
    this.#floors.at(-1)?.push(part);
    return part;
  }

  /** Never rejects. Calling it again is fine. */
  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    for (const floor of this.#floors.toReversed()) await Promise.allSettled(floor.map(async (part) => part.close()));
  }
}
