import { describe, expect, it } from "vitest";
import type { HttpError } from "../http/http-error.ts";
import { RateLimiter } from "./rate-limiter.ts";

const enter = (limiter: RateLimiter, address: string | undefined, limits = { requestsPerMinute: 1 }): boolean => {
  try {
    (limiter.enterAddress(address, limits) as () => void)();
    return true;
  } catch {
    return false;
  }
};

/** What a refusal says; `undefined` when the request may come in. */
function refusal(limiter: RateLimiter, limits: { requestsPerMinute?: number; tokensPerMinute?: number }): HttpError | undefined {
  try {
    (limiter.enter({ keyId: "key", limits }) as () => void)();
    return undefined;
  } catch (error) {
    return error as HttpError;
  }
}

describe("limits per minute", () => {
  it.each([1, 2, 3, 10, 60])(
    "let %i requests in within any sixty seconds, the turn of the minute included, and half a request more at most",
    (limit) => {
      let now = 30_000;
      const limiter = new RateLimiter(undefined, 10, () => now);
      const taken: number[] = [];
      for (; now < 400_000; now += 250) if (!refusal(limiter, { requestsPerMinute: limit })) taken.push(now);
      const most = Math.max(...taken.map((start) => taken.filter((at) => at >= start && at < start + 60_000).length));
      // All of them at once and then as they grow old; a window's share is taken to lie evenly in it.
      expect(most).toBeLessThanOrEqual(Math.ceil(limit * 1.5));
      expect(taken.length).toBeGreaterThanOrEqual(limit * 5);
    },
  );

  it("are not met twice around the turn of a minute", () => {
    let now = 59_900;
    const limiter = new RateLimiter(undefined, 10, () => now);
    const take = (): number => Array.from({ length: 200 }, () => refusal(limiter, { requestsPerMinute: 100 })).filter((no) => !no).length;
    expect(take()).toBe(100);
    now = 60_100;
    expect(take()).toBeLessThanOrEqual(1);
  });

  it("say when to come back: not before, and then at once, however often it was tried meanwhile", () => {
    for (const limits of [{ requestsPerMinute: 1 }, { requestsPerMinute: 7 }, { tokensPerMinute: 500 }])
      for (const begin of [60_000, 75_500, 119_000]) {
        let now = begin;
        const limiter = new RateLimiter(undefined, 10, () => now);
        const identity = { tenant: "t", keyId: "key", limits, upstreamKey: undefined };
        while (!refusal(limiter, limits)) limiter.charge(identity, 100);
        const wait = Number(refusal(limiter, limits)?.headers["retry-after"]) * 1000;
        now = begin + wait - 1_001;
        expect(refusal(limiter, limits), `${begin} before`).toBeDefined();
        now = begin + wait;
        expect(refusal(limiter, limits), `${begin} after`).toBeUndefined();
      }
  });
});

describe("limits that other processes count as well", () => {
  const limits = { requestsPerMinute: 5, tokensPerMinute: 100, concurrency: 1 };
  const identity = { tenant: "t", keyId: "key", limits, upstreamKey: undefined };

  it.each([
    { counted: "requests", refusal: /No more than 5 requests per minute/ },
    { counted: "tokens", refusal: /No more than 100 tokens per minute/ },
  ])("refuse for what the fleet has counted, and the refused one neither runs nor counts here: $counted", async ({ counted, refusal }) => {
    const fleet: Record<string, number> = { requests: 1, tokens: 0 };
    const limiter = new RateLimiter({ add: async (name) => fleet[name.split(":", 1)[0] as string] }, 10, () => 0);
    fleet[counted] = 1_000;
    for (let attempt = 0; attempt < 8; attempt += 1) {
      const failure = await Promise.resolve(limiter.enter(identity)).catch((error: unknown) => error as HttpError);
      expect(failure).toMatchObject({ status: 429, message: expect.stringMatching(refusal) });
      expect(Number((failure as HttpError).headers["retry-after"])).toBeGreaterThan(1);
    }
    fleet[counted] = 1;
    for (let request = 0; request < 5; request += 1) ((await limiter.enter(identity)) as () => void)();
    expect(() => limiter.enter(identity)).toThrow("requests per minute");
  });

  it("are told what a key has spent, and go on here alone while the fleet's counts cannot be reached", async () => {
    const told: unknown[][] = [];
    const limiter = new RateLimiter({ add: async (...call) => void told.push(call) }, 10, () => 0);
    limiter.charge(identity, 40);
    limiter.charge(identity, 0);
    expect(told).toEqual([["tokens:key", 40, 60_000]]);
    for (let request = 0; request < 5; request += 1) ((await limiter.enter(identity)) as () => void)();
    expect(() => limiter.enter(identity)).toThrow("requests per minute");
    limiter.charge({ ...identity, keyId: "other" }, 100);
    expect(() => limiter.enter({ ...identity, keyId: "other" })).toThrow("tokens per minute");
  });
});

it("what has no limit is not counted, whoever asks", () => {
  const limiter = new RateLimiter(undefined, 10, () => 0);
  const identities = [
    { keyId: "key", limits: {} },
    { keyId: undefined, limits: { requestsPerMinute: 1 } },
  ];
  for (const identity of [...identities, ...identities]) expect(limiter.enter(identity)).toBeUndefined();
});

describe("limits of addresses", () => {
  it("count IPv6 by its /64, and everybody unknown together", () => {
    const limiter = new RateLimiter(undefined, 100, () => 0);
    const addresses = ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1", "192.0.2.1", "192.0.2.1", "192.0.2.2", undefined, undefined];
    expect(addresses.map((address) => enter(limiter, address))).toEqual([true, false, true, true, false, true, true, false]);
  });

  it("hold a bounded number of addresses, and none of those that are being answered is forgotten", () => {
    const limiter = new RateLimiter(undefined, 10);
    const concurrency = { concurrency: 1 };
    const leave = limiter.enterAddress("192.0.2.1", concurrency) as () => void;
    for (let index = 0; index < 1000; index += 1)
      expect(enter(limiter, `198.51.100.${index % 250}`, { requestsPerMinute: 1000 })).toBe(true);
    expect(() => limiter.enterAddress("192.0.2.1", concurrency)).toThrow(/No more than 1 requests at a time/);
    leave();
    (limiter.enterAddress("192.0.2.1", concurrency) as () => void)();
    expect(enter(limiter, "198.51.100.0", { requestsPerMinute: 1 }), "forgotten in favour of later ones").toBe(true);
  });
});
