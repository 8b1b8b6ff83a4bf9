/**
 * The one byte of policy state that each entry has. A hit reads it and writes it at most once: `afterHit` maps every state to the state
 * after a hit, and a state that maps to itself is not written.
 *
 * | bits | meaning |
 * |---|---|
 * | 0-3 | how often it was asked for lately, saturating, halved with age |
 * | 4 | asked for since it was last considered for eviction |
 * | 5 | in the main region; otherwise in the window |
 * | 6 | its hits are told to the mini-simulations |
 * | 7 | a read must look closer: it has a deadline, or its value is copied |
 */
export const COUNT_MASK: number = 0x0f;
export const VISITED: number = 0x10;
export const MAIN: number = 0x20;
export const SAMPLED: number = 0x40;
export const CARE: number = 0x80;

/** Set in full: a hit changes nothing more. */
export const HOT: number = COUNT_MASK | VISITED;

/** States in which a hit is more than one byte: the read takes its longer path. */
export const NEEDS_CARE: number = SAMPLED | CARE;

/** The state after a hit, by the state before it. */
export const afterHit: Uint8Array = createAfterHit();

function createAfterHit(): Uint8Array {
  const table = new Uint8Array(256);
  for (let state = 0; state < table.length; state += 1) {
    const count = Math.min(COUNT_MASK, (state & COUNT_MASK) + 1);
    table[state] = (state & ~COUNT_MASK) | VISITED | count;
  }
  return table;
}

/** Halves all counts, four entries at a time, and leaves the flags alone. */
export function halveCounts(states: Uint8Array): void {
  const words = new Int32Array(states.buffer, states.byteOffset, states.length >>> 2);
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at]!;
    words[at] = (word & ~0x0f0f0f0f) | ((word >>> 1) & 0x07070707);
  }
  for (let slot = words.length << 2; slot < states.length; slot += 1) {
    const state = states[slot]!;
    states[slot] = (state & ~COUNT_MASK) | ((state & COUNT_MASK) >>> 1);
  }
}
