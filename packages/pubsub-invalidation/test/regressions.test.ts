import { readdirSync, readFileSync } from "node:fs";
import { ablated } from "@larder/cache-core";
import {
  ABLATIONS,
  type CreateProcess,
  decodeRegression,
  encodeRegression,
  planSchedule,
  type RegressionFile,
  runInTurn,
  runSchedule,
  type ScheduleOptions,
  type ScheduleResult,
  shrinkSchedule,
  simulate,
  violationKind,
} from "@larder/cache-testing";
import { afterEach, describe, expect, it } from "vitest";
import { createThreeParts, createWithoutStore, maxStalenessMs } from "./simulated-process.ts";

const folder = new URL("./regressions/", import.meta.url);
const processes: Readonly<Record<string, CreateProcess>> = {
  "memory, Redis and bus": createThreeParts,
  "memory and bus": createWithoutStore,
};

/** A kept schedule, run. @param without the name of the ablation that is switched on */
function replay(file: RegressionFile, without?: string): Promise<ScheduleResult> {
  const shipped = processes[file.processes];
  if (!shipped) throw new Error(`no processes are called ${file.processes}`);
  const off = ABLATIONS.find(({ name }) => name === without);
  if (without !== undefined && !off) throw new Error(`no ablation is called ${without}`);
  if (off?.mechanism) ablated.add(off.mechanism);
  const ablations = off?.ablations ? { ablations: off.ablations } : {};
  const options: ScheduleOptions = { create: shipped, maxStalenessMs, readLimitMs: 60, ...ablations };
  return runInTurn(() => runSchedule(file.plan, options));
}

afterEach(() => ablated.clear());

const kept = readdirSync(folder)
  .filter((name) => name.endsWith(".json"))
  .map((name) => ({ name, file: decodeRegression(readFileSync(new URL(name, folder), "utf8")) }));

describe("a schedule that once broke a promise", () => {
  it.each(kept)("keeps it now: $name, $file.why", async ({ file }) => {
    const first = await replay(file);
    expect(first.violations).toEqual([]);
    expect(first.reads).toBeGreaterThan(0);
    expect(await replay(file)).toEqual(first);
  });

  it.each(kept.filter(({ file }) => file.without !== undefined))("breaks it again without what keeps it: $name", async ({ file }) => {
    expect(violationKind((await replay(file, file.without)).violations)).toBe(file.violation);
  });
});

describe("a bad schedule", () => {
  it("is shrunk to a small one that breaks the same kind of promise, and holds with every mechanism on", async () => {
    const options: ScheduleOptions = { create: createThreeParts, maxStalenessMs, readLimitMs: 60 };
    ablated.add("early-capture");
    const [failure] = (await simulate({ ...options, firstSeed: 1, schedules: 20_000 })).failures;
    const seed = failure?.seed as number;
    const { plan, result, runs } = await shrinkSchedule(planSchedule(seed), options);
    expect(violationKind(result.violations)).toBe(violationKind(failure?.violations ?? []));
    expect(plan.operations.length + plan.faults.length).toBeLessThanOrEqual(6);
    expect(runs).toBeLessThanOrEqual(2_000);

    const file: RegressionFile = { why: "a test", violation: violationKind(result.violations), processes: "memory, Redis and bus", plan };
    const read = decodeRegression(encodeRegression(file));
    expect(await replay(read, "version captured after the load")).toEqual(result);
    ablated.clear();
    expect((await replay(read)).violations).toEqual([]);
  });

  it("is left as it is when nothing is wrong with it", async () => {
    const options: ScheduleOptions = { create: createThreeParts, maxStalenessMs, readLimitMs: 60 };
    const plan = planSchedule(1);
    expect(await shrinkSchedule(plan, options)).toMatchObject({ plan, runs: 1, result: { violations: [] } });
  });

  it("of another plan format is refused, not run as something else", () => {
    expect(() => decodeRegression('{"format":1,"plan":{}}')).toThrow("plan format");
  });
});
