import { describe, expect, it } from "vitest";
import { type SimulationOptions, simulate } from "./simulate.ts";

const create = (): never => {
  throw new Error("made");
};
const options: SimulationOptions = { create, maxStalenessMs: 600, readLimitMs: 60, firstSeed: 1, schedules: 1 };

describe("a simulation", () => {
  // Each of them ran, and found nothing wrong with what breaks every promise.
  it.each<[name: string, given: object]>([
    ["schedules", { schedules: Number.NaN }],
    ["schedules", { schedules: 0 }],
    ["schedules", { schedules: "100 schedules" }],
    ["keepFailures", { keepFailures: 0 }],
    ["firstSeed", { firstSeed: Number.NaN }],
    ["firstSeed", { firstSeed: undefined }],
    ["maxStalenessMs", { maxStalenessMs: undefined }],
    ["readLimitMs", { readLimitMs: Number.NaN }],
    ["maxLoadMs", { maxLoadMs: -1 }],
    ["limits.operations", { limits: { operations: Number.NaN } }],
    ["limits.processes", { limits: { processes: 0 } }],
    ["limits.sets", { limits: { sets: 40 } }],
    ["limits.longestMs", { limits: { longestMs: Number.NaN } }],
    ["the name of an option", { limits: { fault: ["crash"] } }],
    ["the name of an option", { seeds: 100 }],
    ["create", { create: undefined }],
  ])("refuses %s that would find nothing", async (name, given) => {
    const refused = simulate({ ...options, ...given } as SimulationOptions);
    await expect(refused).rejects.toMatchObject({ code: "ERR_CACHE_INVALID_OPTION", message: expect.stringContaining(`${name} must be`) });
  });

  it("begins with options that are in range, a first seed below zero among them", async () => {
    await expect(simulate({ ...options, firstSeed: -3, limits: { faults: [], patience: 0 } })).rejects.toThrow("made");
  });
});
