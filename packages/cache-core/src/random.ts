import { randomBytes } from "node:crypto";

/** Where randomness comes from, so that the simulator can replay a run bit for bit. */
export interface RandomSource {
  /** A number in [0, 1), as `Math.random()`: for jitter and sampling. */
  next(): number;
  /** 128 random bits as 32 hexadecimal digits: for epochs, fence tokens and origin ids, which must never repeat. */
  token(): string;
}

const TOKEN_BYTES = 16;
/** Tokens drawn from the operating system at once: one call costs 4 us whatever it draws, and every write to Redis carries a token. */
const TOKENS_A_DRAW = 64;

class SystemRandom implements RandomSource {
  #drawn: Buffer = Buffer.alloc(0);
  #usedBytes = 0;

  next(): number {
    return Math.random();
  }

  token(): string {
    if (this.#usedBytes === this.#drawn.length) {
      this.#drawn = randomBytes(TOKEN_BYTES * TOKENS_A_DRAW);
      this.#usedBytes = 0;
    }
    const start = this.#usedBytes;
    this.#usedBytes += TOKEN_BYTES;
    const token = this.#drawn.toString("hex", start, this.#usedBytes);
    // A token is given once: it must not stand in memory to be given again, or be read by who comes later.
    this.#drawn.fill(0, start, this.#usedBytes);
    return token;
  }
}

/** The source used where none is injected. Tokens come from the operating system's generator. */
export const systemRandom: RandomSource = new SystemRandom();
