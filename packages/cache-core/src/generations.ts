/** Stripes: a power of two. Two keys on one stripe only cost a refused fill now and then; memory stays bounded whatever the keys are. */
const STRIPES = 4_096;

/**
 * A local generation per key, striped and bounded: captured before a value is read or loaded, compared before it is kept. Whatever
 * invalidates a key moves its stripe on, and then no read that began earlier can bring the old value back.
 */
export class Generations {
  readonly #stripes: Uint32Array = new Uint32Array(STRIPES);

  /** The generation to capture. */
  of(key: string): number {
    return this.#stripes[stripeOf(key)] as number;
  }

  /** Moves the key's generation on. */
  advance(key: string): void {
    const stripe = stripeOf(key);
    this.#stripes[stripe] = (this.#stripes[stripe] as number) + 1;
  }
}

/** FNV-1a over at most 64 units from the end, where digest keys differ: a stripe need not be fair, only the same each time. */
function stripeOf(key: string): number {
  let hash = key.length;
  for (let index = Math.max(0, key.length - 64); index < key.length; index += 1) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  return (hash ^ (hash >>> 15)) & (STRIPES - 1);
}
