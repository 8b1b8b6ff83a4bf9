import { ManualClock } from "@larder/cache-testing";
import { onTestFinished } from "vitest";
import { type GuardPolicy, type RunReport, type SnapshotStore, syncOnce } from "../../src/index.ts";
import { createSqliteStore } from "../../src/sqlite.ts";
import { listings, ScriptedSource } from "./listings.ts";

/** What the guards are tested on: an empty store, time in the test's hand, and a source whose answers it writes. */
export interface GuardRig {
  readonly clock: ManualClock;
  readonly store: SnapshotStore;
  readonly source: ScriptedSource;
  /** Syncs a minute later. @param sources the rig's own, when none are given */
  run(policy?: Partial<GuardPolicy>, sources?: readonly ScriptedSource[]): Promise<RunReport>;
  /** Lets time pass with a run half-way: no longer step between two runs counts for more than half of what a guard waits for. */
  elapse(ms: number, ...run: Parameters<GuardRig["run"]>): Promise<void>;
}

/** @param models that the source tells until the test says otherwise */
export async function startGuardRig(models: number): Promise<GuardRig> {
  const clock = new ManualClock();
  const store = await createSqliteStore({ path: ":memory:", clock });
  const source = new ScriptedSource(listings(models));
  onTestFinished(() => store.close());
  const run: GuardRig["run"] = (policy = {}, sources = [source]) => {
    clock.advance(60_000);
    return syncOnce({ sources, store, policy, clock });
  };
  const elapse: GuardRig["elapse"] = async (ms, ...given) => {
    clock.advance(ms / 2);
    await run(...given);
    clock.advance(ms / 2);
  };
  return { clock, store, source, run, elapse };
}
