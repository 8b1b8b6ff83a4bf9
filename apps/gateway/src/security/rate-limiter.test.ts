import { describe, expect, it } from "vitest";
import type { HttpError } from "../http/http-error.ts";
import { CountTable } from "./count-table.ts";
import type { Refusal } from "./key-counts.ts";
import { RateLimiter, type SharedCounter } from "./rate-limiter.ts";

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

/** A limiter of this process alone, by a clock that the test turns. */
const limiterAt = (clock: () => number): RateLimiter => new RateLimiter([], new CountTable(10), clock);

describe("limits per minute", () => {
  it.each([1, 2, 3, 10, 60, 100])("let %i requests in within any sixty seconds, and as many again in the next", (limit) => {
    let now = 30_000;
    const limiter = limiterAt(() => now);
    const taken: number[] = [];
    for (; now < 400_000; now += 250) if (!refusal(limiter, { requestsPerMinute: limit })) taken.push(now);
    const most = Math.max(...taken.map((start) => taken.filter((at) => at >= start && at < start + 60_000).length));
    expect(most).toBe(limit);
    expect(taken.length).toBeGreaterThanOrEqual(limit * 6);
  });

  it("count a request for its whole minute, whatever came earlier in its second", () => {
    let now = 1_000;
    const limiter = limiterAt(() => now);
    const isIn = (): boolean => refusal(limiter, { requestsPerMinute: 2 }) === undefined;
    expect(isIn()).toBe(true);
    now = 1_900;
    expect(isIn()).toBe(true);
    now = 61_001;
    const atOnce = [isIn(), isIn()];
    // The one of 1900 still counts.
    expect(atOnce.filter(Boolean).length).toBeLessThanOrEqual(1);
    now = 61_900;
    expect(isIn()).toBe(true);
  });

  // Two windows of a minute let through only a part of it, and told to wait for more than a minute.
  it("let a full burst in a minute after another, at whatever time of the minute", () => {
    for (let begin = 0; begin < 120_000; begin += 7_321) {
      let now = begin;
      const limiter = limiterAt(() => now);
      const take = (): number => Array.from({ length: 200 }, () => refusal(limiter, { requestsPerMinute: 100 })).filter((no) => !no).length;
      expect([take(), refusal(limiter, { requestsPerMinute: 100 })?.headers["retry-after"]]).toEqual([100, "60"]);
      now = begin + 59_999;
      expect(take()).toBe(0);
      now = begin + 60_000;
      expect(take()).toBe(100);
    }
  });

  it("say when to come back: not before, and then at once, however often it was tried meanwhile", () => {
    for (const limits of [{ requestsPerMinute: 1 }, { requestsPerMinute: 7 }, { tokensPerMinute: 500 }])
      for (const begin of [60_000, 75_500, 119_000])
        for (const apart of [0, 40, 3_700]) {
          let now = begin;
          const limiter = limiterAt(() => now);
          const identity = { tenant: "t", keyId: "key", limits, upstreamKey: undefined };
          while (!refusal(limiter, limits)) {
            limiter.charge(identity, 100);
            now += apart;
          }
          const asked = now;
          const wait = Number(refusal(limiter, limits)?.headers["retry-after"]) * 1000;
          expect(wait).toBeLessThanOrEqual(60_000);
          now = asked + wait - 1_001;
          expect(refusal(limiter, limits), `${begin} before`).toBeDefined();
          now = asked + wait;
          expect(refusal(limiter, limits), `${begin} after`).toBeUndefined();
        }
  });

  it("go by what tokens were charged, when they were, and wait for no more of them to be forgotten than need be", () => {
    let now = 1_000;
    const limits = { tokensPerMinute: 100 };
    const limiter = limiterAt(() => now);
    const charge = (tokens: number): void => limiter.charge({ tenant: "t", keyId: "key", limits, upstreamKey: undefined }, tokens);
    charge(30);
    now = 11_000;
    charge(60.5);
    now = 21_000;
    charge(1_000);
    // Of 1091 all but the last 1000 go without making room: it is the last that has to.
    expect(refusal(limiter, limits)?.headers["retry-after"]).toBe("60");
    now = 81_000;
    expect(refusal(limiter, limits)).toBeUndefined();
    charge(99);
    expect(refusal(limiter, limits)).toBeUndefined();
    charge(1);
    expect(refusal(limiter, limits)?.headers["retry-after"]).toBe("60");
  });
});

/** A counter of several processes that answers what the test says. */
function fleet(answer: () => Refusal | null | undefined): SharedCounter & { readonly told: unknown[][]; running: number } {
  const counter = {
    counts: ["requestsPerMinute", "tokensPerMinute"] as const,
    told: [] as unknown[][],
    running: 0,
    enter: (...asked: unknown[]) => {
      counter.told.push(asked);
      counter.running += 1;
      const leave = (): void => {
        counter.running -= 1;
      };
      return { refusal: Promise.resolve(answer()), leave };
    },
    charge: (...charged: unknown[]) => void counter.told.push(charged),
  };
  return counter;
}

describe("limits that other processes count as well", () => {
  const limits = { requestsPerMinute: 5, tokensPerMinute: 100, concurrency: 1 };
  const identity = { tenant: "t", keyId: "key", limits, upstreamKey: undefined };

  it.each([
    { limit: "requestsPerMinute", message: /No more than 5 requests per minute/ },
    { limit: "tokensPerMinute", message: /No more than 100 tokens per minute/ },
    { limit: "concurrency", message: /No more than 1 requests at a time/ },
  ] as const)(
    "refuse for what the fleet has counted, and the refused one neither runs nor counts here: $limit",
    async ({ limit, message }) => {
      let counted: Refusal | null = { limit, waitMs: 41_001 };
      const shared = fleet(() => counted);
      const limiter = new RateLimiter([shared], new CountTable(10), () => 0);
      for (let attempt = 0; attempt < 8; attempt += 1) {
        const failure = await Promise.resolve(limiter.enter(identity)).catch((error: unknown) => error as HttpError);
        expect(failure).toMatchObject({ status: 429, message: expect.stringMatching(message), headers: { "retry-after": "42" } });
      }
      expect(shared.running).toBe(0);
      counted = null;
      for (let request = 0; request < 5; request += 1) ((await limiter.enter(identity)) as () => void)();
      expect(() => limiter.enter(identity)).toThrow("requests per minute");
      expect(shared.running).toBe(0);
    },
  );

  it("are asked of each for what it counts alone, and who comes first gives its place back when a later one refuses", async () => {
    const nearby = { ...fleet(() => null), counts: ["concurrency"] as const };
    const far = fleet(() => ({ limit: "tokensPerMinute", waitMs: 1 }));
    const limiter = new RateLimiter([nearby, far], new CountTable(10), () => 0);
    await expect(limiter.enter(identity)).rejects.toThrow("tokens per minute");
    expect(nearby.told).toEqual([["key", { concurrency: 1 }]]);
    expect(far.told).toEqual([["key", { requestsPerMinute: 5, tokensPerMinute: 100 }]]);
    ((await limiter.enter({ keyId: "other", limits: { concurrency: 1 } })) as () => void)();
    expect([nearby.told.length, far.told.length]).toEqual([2, 1]);
    limiter.charge(identity, 7);
    expect([nearby.told.length, far.told.at(-1)]).toEqual([2, ["key", 7]]);
  });

  it("are told what a key has spent, and go on here alone while the fleet's counts cannot be reached", async () => {
    const shared = fleet(() => undefined);
    const limiter = new RateLimiter([shared], new CountTable(10), () => 0);
    limiter.charge(identity, 40);
    limiter.charge(identity, 0);
    expect(shared.told).toEqual([["key", 40]]);
    for (let request = 0; request < 5; request += 1) ((await limiter.enter(identity)) as () => void)();
    expect(() => limiter.enter(identity)).toThrow("requests per minute");
    limiter.charge({ ...identity, keyId: "other" }, 100);
    expect(() => limiter.enter({ ...identity, keyId: "other" })).toThrow("tokens per minute");
  });
});

it("what has no limit is not counted, whoever asks", () => {
  const limiter = limiterAt(() => 0);
  const identities = [
    { keyId: "key", limits: {} },
    { keyId: undefined, limits: { requestsPerMinute: 1 } },
  ];
  for (const identity of [...identities, ...identities]) expect(limiter.enter(identity)).toBeUndefined();
});

describe("limits of addresses", () => {
  it("count IPv6 by its /64, and everybody unknown together", () => {
    const limiter = new RateLimiter([], new CountTable(100), () => 0);
    const addresses = ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1", "192.0.2.1", "192.0.2.1", "192.0.2.2", undefined, undefined];
    expect(addresses.map((address) => enter(limiter, address))).toEqual([true, false, true, true, false, true, true, false]);
  });

  it("hold a bounded number of addresses, and none of those that are being answered is forgotten", () => {
    const limiter = new RateLimiter([], new CountTable(10));
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
