import { KeySpace } from "@larder/cache-core";

/** Which cache of a process keeps a key, by its namespace. */
export type NamespaceOf = (key: string) => string;

/**
 * The lanes of a schedule by name, as keys fall into them and channels tell of them: the lane's number, with the namespace before it where
 * a process has caches of several, each with lanes of its own. Where all is one lane there are no names, and none need be looked for.
 */
export class LaneNames {
  readonly #keySpace: KeySpace;
  readonly #namespaceOf: NamespaceOf | undefined;
  readonly #isOne: boolean;

  constructor(lanes: number, namespaceOf: NamespaceOf | undefined) {
    // In which lane a key is does not depend on the namespace.
    this.#keySpace = new KeySpace({ namespace: "any", lanes });
    this.#namespaceOf = namespaceOf;
    this.#isOne = lanes === 1 && namespaceOf === undefined;
  }

  ofKey(key: string): string | undefined {
    return this.#isOne ? undefined : this.#name(this.#namespaceOf?.(key), this.#keySpace.laneOf(this.#keySpace.nameOf(key)));
  }

  /** `undefined` also for a channel of a design that has no lanes. */
  ofChannel(channel: string): string | undefined {
    if (this.#isOne) return undefined;
    const found = /\{(.+)\.(\d+)\}:/.exec(channel);
    return found ? this.#name(found[1], Number(found[2])) : undefined;
  }

  #name(namespace: string | undefined, lane: number): string {
    return this.#namespaceOf ? `${namespace}.${lane}` : String(lane);
  }
}
