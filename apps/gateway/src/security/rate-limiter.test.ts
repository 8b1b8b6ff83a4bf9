import { describe, expect, it } from "vitest";
import { RateLimiter } from "./rate-limiter.ts";

const enter = (limiter: RateLimiter, address: string | undefined, limits = { requestsPerMinute: 1 }): boolean => {
  try {
    (limiter.enterAddress(address, limits) as () => void)();
    return true;
  } catch {
    return false;
  }
};

describe("limits of addresses", () => {
  it("count IPv6 by its /64, and everybody unknown together", () => {
    const limiter = new RateLimiter();
    const addresses = ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1", "192.0.2.1", "192.0.2.1", "192.0.2.2", undefined, undefined];
    // Taken again when the minute has turned in between: every count then begins anew.
    const rounds = [1, 2].map(() => addresses.map((address) => enter(limiter, address)));
    expect(rounds).toContainEqual([true, false, true, true, false, true, true, false]);
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
