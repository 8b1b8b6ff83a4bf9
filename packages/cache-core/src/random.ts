import { randomBytes } from "node:crypto";

/** Where randomness comes from, so that the simulator can replay a run bit for bit. */
export interface RandomSource {
  /** A number in [0, 1), as `Math.random()`: for jitter and sampling. */
  next(): number;
  /** 128 random bits as 32 hexadecimal digits: for epochs, fence tokens and origin ids, which must never repeat. */
  token(): string;
}

/** The source used where none is injected. Tokens come from the operating system's generator. */
export const systemRandom: RandomSource = {
  next: () => Math.random(),
  token: () => randomBytes(16).toString("hex"),
};
