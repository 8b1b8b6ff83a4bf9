import { type StoredEntry, TieredCache } from "@larder/cache-core";
import { expect, it } from "vitest";
import { NaiveCache } from "../naive-cache.ts";
import { planSchedule } from "./schedule-plan.ts";
import { shrinkSchedule } from "./shrink-schedule.ts";
import type { CreateProcess } from "./simulated-process.ts";

/** What is wrong with it shows whatever its servers do. */
const createBroken: CreateProcess = ({ clock, random }) =>
  Object.assign(new TieredCache<unknown>({ l1: new NaiveCache<StoredEntry<unknown>>({ clock }), clock, random }), { get: () => "garbage" });

it("leaves out the further servers, and the calls that are sent again, where the promise is broken without them", async () => {
  const plan = planSchedule(1, { isApart: true, resends: true, shards: 2, lanes: 4 });
  expect(plan).toMatchObject({ apart: {}, resend: expect.any(Number), shards: 2 });
  const { plan: small, result } = await shrinkSchedule(plan, { create: createBroken, maxStalenessMs: 600, readLimitMs: 60 });
  expect(result.violations[0]).toMatch(/^I10 /);
  expect(small).toMatchObject({ lanes: 1 });
  expect([small.apart, small.resend, small.shards]).toEqual([undefined, undefined, undefined]);
});
