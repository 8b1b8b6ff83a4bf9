import type { KeyLimits } from "../config/schema.ts";
import { MinuteCount } from "./minute-count.ts";

/** Which limit refuses a request, and for how long. */
export interface Refusal {
  readonly limit: keyof KeyLimits;
  /** Milliseconds until there is room when nothing else is counted, at most a minute; 0 where nobody knows: a request may end at any time. */
  readonly waitMs: number;
}

/** What is counted of one key or address. */
export class KeyCounts {
  readonly #requests = new MinuteCount();
  readonly #tokens = new MinuteCount();
  #running = 0;
  #touchedAt = 0;

  /** Counts a request in, unless a limit refuses it. @param now monotonic milliseconds @returns which does */
  enter(now: number, { requestsPerMinute, tokensPerMinute, concurrency }: KeyLimits): Refusal | undefined {
    this.#touchedAt = now;
    if (concurrency !== undefined && this.#running >= concurrency) return { limit: "concurrency", waitMs: 0 };
    // What it will cost is not known yet: there has to be room for one token.
    const tokensIn = tokensPerMinute === undefined ? 0 : this.#tokens.waitMs(now, 1, tokensPerMinute);
    if (tokensIn > 0) return { limit: "tokensPerMinute", waitMs: tokensIn };
    const requestsIn = requestsPerMinute === undefined ? 0 : this.#requests.waitMs(now, 1, requestsPerMinute);
    if (requestsIn > 0) return { limit: "requestsPerMinute", waitMs: requestsIn };
    if (requestsPerMinute !== undefined) this.#requests.add(now, 1);
    this.#running += 1;
    return undefined;
  }

  /** A request that was counted in is over. @param isUndone whether somebody else has refused it: then it never was */
  leave(isUndone = false): void {
    this.#running -= 1;
    if (isUndone) this.#requests.takeBack(1);
  }

  /** @param tokens a whole number */
  charge(now: number, tokens: number): void {
    this.#touchedAt = now;
    this.#tokens.add(now, tokens);
  }

  /** Whether a request is being answered. */
  get isRunning(): boolean {
    return this.#running > 0;
  }

  /** When anything was last counted. */
  get touchedAt(): number {
    return this.#touchedAt;
  }
}
