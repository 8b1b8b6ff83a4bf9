import { describe, expect, it } from "vitest";
import { planFaultSoak } from "./fault-soak.ts";
import { planSoak } from "./gateway-soak.ts";
import { planTrouble } from "./gateway-trouble.ts";
import { planThroughput } from "./memory.ts";
import { planWeights } from "./memory-weight.ts";
import { planReconnects } from "./reconnect.ts";
import { planSharedPeers } from "./redis-peers.ts";

describe("the quick form of a scenario", () => {
  it.each([
    ["rounds of reads and writes in memory", (isQuick: boolean) => planThroughput(isQuick, 1_000).rounds, 15, 61],
    ["entries weighed", (isQuick: boolean) => planWeights(isQuick).entries, 100_000, 1_000_000],
    ["reconnects", (isQuick: boolean) => planReconnects(isQuick).rounds, 2, 9],
    ["seconds of trouble with Redis", (isQuick: boolean) => planTrouble(isQuick).seconds, 1, 9],
    ["seconds of soak", (isQuick: boolean) => planSoak(isQuick, undefined), 1, 60],
    ["keys to clear", (isQuick: boolean) => planSharedPeers(isQuick).keys, 20_000, 1_000_000],
  ])("does less: %s", (_, plan, quick, full) => {
    expect([plan(true), plan(false)]).toEqual([quick, full]);
  });

  it("weighs peers as well, and the full form all of them", () => {
    expect(planWeights(true).peers).toEqual(["lru-cache", "sieve-cache"]);
    expect(planWeights(false).peers).toEqual(expect.arrayContaining(["lru-cache", "sieve-cache", "mnemonist", "transitory"]));
  });

  it("waits long enough to see a bound on staleness kept: more than the default of a second", () => {
    expect(planReconnects(true).giveUpMs).toBeGreaterThan(1_000);
  });

  it("soaks for as many minutes as the command line says", () => {
    expect(planSoak(true, 10)).toBe(600);
    expect(planSoak(false, 1)).toBe(60);
    expect(planFaultSoak(true, 10).oursMs).toBe(600_000);
    expect(planFaultSoak(true, undefined).oursMs).toBe(4_000);
  });
});
