import ipaddr from "ipaddr.js";
import type { KeyLimits } from "../config/schema.ts";
import { HttpError } from "../http/http-error.ts";
import type { Identity } from "./authenticator.ts";
import { CountTable } from "./count-table.ts";
import type { KeyCounts, Refusal } from "./key-counts.ts";

/** A request that several processes count. */
export interface SharedEntry {
  /** Which limit refuses it, `null` when none does; `undefined` when the counts cannot be reached in time. Never rejects. */
  readonly refusal: Promise<Refusal | null | undefined>;
  /** It is over, whether it was counted or not. */
  leave(): void;
}

/** Counts shared by several processes. */
export interface SharedCounter {
  /** What it counts. */
  readonly counts: ReadonlyArray<keyof KeyLimits>;
  /** Counts a request in, unless a limit refuses it. @param limits those that it counts */
  enter(keyId: string, limits: KeyLimits): SharedEntry;
  /** @param tokens a whole number */
  charge(keyId: string, tokens: number): void;
}

/**
 * Limits of virtual keys and of client addresses. Counted in this process, and by whoever counts for several processes, so that they share a limit; while nobody does,
 * each process counts for itself. A minute is the last sixty seconds, not the one on the clock, in which twice the limit would fit around its turn.
 */
export class RateLimiter {
  readonly #shared: readonly SharedCounter[];
  readonly #table: CountTable;
  readonly #clock: () => number;

  /** @param shared asked one after the other; @param table of this process alone; @param clock monotonic milliseconds: the wall clock may jump */
  constructor(shared: readonly SharedCounter[] = [], table: CountTable = new CountTable(), clock: () => number = () => performance.now()) {
    this.#shared = shared;
    this.#table = table;
    this.#clock = clock;
  }

  /**
   * Counts a request in, unless it is refused. `undefined` at once for a key without limits: the common case costs nothing.
   * @returns what to call when the request is over. @throws {HttpError} 429 with `retry-after`
   */
  enter({ keyId, limits }: Pick<Identity, "keyId" | "limits">): undefined | (() => void) | Promise<() => void> {
    const { requestsPerMinute, tokensPerMinute, concurrency } = limits;
    if (keyId === undefined || (requestsPerMinute ?? tokensPerMinute ?? concurrency) === undefined) return undefined;
    const now = this.#clock();
    const counts = this.#table.of(keyId, now);
    const refusal = counts.enter(now, limits);
    if (refusal) throw tooMany(refusal, limits);
    const asked = this.#shared.filter((counter) => counter.counts.some((name) => limits[name] !== undefined));
    return asked.length === 0 ? () => counts.leave() : this.#enterShared(asked, keyId, limits, counts);
  }

  /** As `enter`, for an address. An unknown one shares its count with all that are unknown. */
  enterAddress(address: string | undefined, limits: KeyLimits): undefined | (() => void) | Promise<() => void> {
    return this.enter({ keyId: `address:${address === undefined ? "unknown" : networkOf(address)}`, limits });
  }

  async #enterShared(asked: readonly SharedCounter[], keyId: string, limits: KeyLimits, counts: KeyCounts): Promise<() => void> {
    const entries: SharedEntry[] = [];
    const leave = (isUndone = false): void => {
      counts.leave(isUndone);
      for (const entry of entries) entry.leave();
    };
    for (const counter of asked) {
      const entry = counter.enter(keyId, Object.fromEntries(counter.counts.map((name) => [name, limits[name]])));
      entries.push(entry);
      const refusal = await entry.refusal;
      if (!refusal) continue;
      leave(true);
      throw tooMany(refusal, limits);
    }
    return leave;
  }

  /** Charges tokens that a provider has spent for the key. Hits cost none. */
  charge(identity: Identity, tokens: number): void {
    const { keyId } = identity;
    if (keyId === undefined || !this.countsTokens(identity) || tokens <= 0) return;
    const now = this.#clock();
    const whole = Math.ceil(tokens);
    this.#table.of(keyId, now).charge(now, whole);
    for (const counter of this.#shared) if (counter.counts.includes("tokensPerMinute")) counter.charge(keyId, whole);
  }

  /** Whether tokens are counted for the key: where nobody tells them, a whole request is read to estimate them. */
  countsTokens({ keyId, limits }: Pick<Identity, "keyId" | "limits">): boolean {
    return keyId !== undefined && limits.tokensPerMinute !== undefined;
  }
}

/** One customer of a provider has a whole /64 of IPv6 and could otherwise be as many as it likes. */
function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const network = ipaddr.IPv6.parse(address).parts.slice(0, 4);
  return `${network.map((part) => part.toString(16)).join(":")}::/64`;
}

const WHAT: Readonly<Record<keyof KeyLimits, string>> = {
  requestsPerMinute: "requests per minute",
  tokensPerMinute: "tokens per minute",
  concurrency: "requests at a time",
};

function tooMany({ limit, waitMs }: Refusal, limits: KeyLimits): HttpError {
  const retryAfter = String(Math.max(1, Math.ceil(waitMs / 1000)));
  return new HttpError(429, `No more than ${limits[limit]} ${WHAT[limit]} may be made.`, {
    code: "rate_limit_exceeded",
    headers: { "retry-after": retryAfter },
  });
}
