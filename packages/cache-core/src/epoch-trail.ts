import type { Version } from "./invalidation.ts";

const NOWHERE: Version = { epoch: "", seq: 0 };
/** Epochs remembered after they were left. */
const MAX_LEFT = 64;

/**
 * Where a lane's record has been, as far as its server told this process.
 *
 * A record may come back: databases are swapped and swapped again, a client that is shared selects another one and returns, a key is renamed, copied or
 * restored. Whatever was invalidated in between is missing in it, and who was cut off meanwhile finds what it knew and cannot tell. So an epoch that was
 * left once is as suspect as a seq that went backwards: who has seen it go judges nothing by it, and has a new epoch put in its place
 * (`checkScript`).
 *
 * That the record carried when its epoch was made would not help: it comes back with the record. It is those who were there who know, and when all of
 * them are gone the time to live is the bound.
 */
export class EpochTrail {
  #last: Version = NOWHERE;
  readonly #left: Set<string> = new Set();

  /** The version that the server told last, its epoch is empty before the first and after one of the past. */
  get last(): Version {
    return this.#last;
  }

  /** Whether the record was there once and went on. */
  hasLeft(epoch: string): boolean {
    return this.#left.has(epoch);
  }

  /**
   * Takes in what the server told, never what was merely heard: places can be forged.
   * @param floor what `last` was when the server was asked: answers are taken in later than they come, and one may overtake another. Judged by what is known
   * when it is taken in, a busy process took every few of them for the past
   * @returns whether it is of the past: acknowledged invalidations are missing in it
   */
  see(version: Version, floor: Version): boolean {
    const { epoch, seq } = version;
    // A record that cannot be read tells nothing.
    if (epoch === "") return false;
    // After one of the past nothing that was left counts any more, be it told by an answer that was asked for before.
    const isLost = this.#last === NOWHERE && this.#left.has(epoch);
    if (isLost || (epoch === floor.epoch ? seq < floor.seq : this.#left.has(epoch))) {
      // Where it was before, something may be missing as well, once it is back there.
      this.#leave(NOWHERE);
      return true;
    }
    if (epoch === this.#last.epoch) this.#last = { epoch, seq: Math.max(seq, this.#last.seq) };
    else if (!this.#left.has(epoch)) this.#leave({ epoch, seq });
    return false;
  }

  #leave(version: Version): void {
    if (this.#last.epoch !== "") this.#left.add(this.#last.epoch);
    const oldest = this.#left.values().next();
    if (this.#left.size > MAX_LEFT && !oldest.done) this.#left.delete(oldest.value);
    this.#last = version;
  }
}
