/**
 * The one byte of policy state that each entry has. A hit reads it and writes it at most once: `afterHit` maps every state to the state
 * after a hit, and a state that maps to itself is not written.
 *
 * | bits | meaning |
 * |---|---|
 * | 0-2 | hits since the entry came in or its count was last put into the sketch, saturating |
 * | 3 | asked for since the hand last passed |
 * | 4 | admitted to the main region; otherwise in the window |
 * | 5 | has a deadline: the read must look at the clock |
 * | 6 | its hits are told to the mini-simulations |
 * | 7 | its value is copied when read |
 */
export const COUNT_MASK: number = 0x07;
export const VISITED: number = 0x08;
export const MAIN: number = 0x10;
export const TIMED: number = 0x20;
export const SAMPLED: number = 0x40;
export const COPIED: number = 0x80;

/** States in which a hit is more than one byte: the read takes its longer path. */
export const NEEDS_CARE: number = TIMED | SAMPLED | COPIED;

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
