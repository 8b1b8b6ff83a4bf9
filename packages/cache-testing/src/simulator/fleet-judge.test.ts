import { describe, expect, it } from "vitest";
import { FleetJudge } from "./fleet-judge.ts";
import type { CalledLoader } from "./load-judge.ts";
import { planSchedule, type SchedulePlan } from "./schedule-plan.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

const MAX_LOAD_MS = 300;
/** After everybody has found the second tier, and whatever that disturbed is over. */
const SETTLED_AT = 200;

/** Without faults, in weather in which leases are promised. */
const calm: SchedulePlan = {
  ...planSchedule(1),
  faults: [],
  ttlMs: Infinity,
  weather: { latencyMs: 1, spreadMs: 0, lateEffect: 0, duplicate: 0 },
};

function callLoader(index: number, askedAt: number): CalledLoader {
  return { process: { index, hasStore: true } as SimulatedProcess, key: "k", askedAt, cancellation: new AbortController().signal };
}

describe("two loads of one key under leases", () => {
  const createJudge = (): FleetJudge => new FleetJudge(calm, MAX_LOAD_MS);

  it("are a broken promise while the first one runs", () => {
    const judge = createJudge();
    expect(judge.begin(callLoader(0, SETTLED_AT), SETTLED_AT)).toBe(undefined);
    expect(judge.begin(callLoader(1, SETTLED_AT), SETTLED_AT + MAX_LOAD_MS)).toMatch(/^I5 processes 0 and 1: two loads of k at 500/);
  });

  it("are none when the first one has answered", () => {
    const judge = createJudge();
    const first = callLoader(0, SETTLED_AT);
    judge.begin(first, SETTLED_AT);
    judge.end(first, SETTLED_AT + 10);
    expect(judge.begin(callLoader(1, SETTLED_AT), SETTLED_AT + 20)).toBe(undefined);
  });

  it("are none when the first one takes longer than the second tier allows", () => {
    const judge = createJudge();
    judge.begin(callLoader(0, SETTLED_AT), SETTLED_AT);
    expect(judge.begin(callLoader(1, SETTLED_AT), SETTLED_AT + MAX_LOAD_MS + 1)).toBe(undefined);
  });

  it("are none when both had waited for one whose value was not kept since it took too long (seed 38122989)", () => {
    const judge = createJudge();
    const tooLong = callLoader(0, SETTLED_AT);
    judge.begin(tooLong, SETTLED_AT);
    const endedAt = SETTLED_AT + MAX_LOAD_MS + 1;
    judge.end(tooLong, endedAt);
    expect(judge.begin(callLoader(1, SETTLED_AT + 10), endedAt)).toBe(undefined);
    expect(judge.begin(callLoader(2, SETTLED_AT + 20), endedAt)).toBe(undefined);
  });

  it("are one when both had waited for one that did not", () => {
    const judge = createJudge();
    const first = callLoader(0, SETTLED_AT);
    judge.begin(first, SETTLED_AT);
    const endedAt = SETTLED_AT + MAX_LOAD_MS;
    judge.end(first, endedAt);
    expect(judge.begin(callLoader(1, SETTLED_AT + 10), endedAt)).toBe(undefined);
    expect(judge.begin(callLoader(2, SETTLED_AT + 20), endedAt)).toMatch(/^I5/);
  });
});
