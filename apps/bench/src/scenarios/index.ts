import type { Scenario } from "../scenario.ts";

/**
 * Every scenario by its word on the command line, in the order in which they run. Loaded only when asked for, so that a broken or heavy
 * one does not stop the others. To add one: write `scenarios/<name>.ts` that exports a `Scenario` and put its line here.
 */
export const scenarioLoaders: Readonly<Record<string, () => Promise<Scenario>>> = {
  memory: async () => (await import("./memory.ts")).memoryScenario,
  "hit-ratio": async () => (await import("./hit-ratio.ts")).hitRatioScenario,
  keys: async () => (await import("./keys.ts")).keysScenario,
  redis: async () => (await import("./redis.ts")).redisScenario,
  tiered: async () => (await import("./tiered.ts")).tieredScenario,
  stampede: async () => (await import("./stampede.ts")).stampedeScenario,
  coherence: async () => (await import("./coherence.ts")).coherenceScenario,
  invalidation: async () => (await import("./invalidation.ts")).invalidationScenario,
  faults: async () => (await import("./faults.ts")).faultsScenario,
  sync: async () => (await import("./sync.ts")).syncScenario,
  gateway: async () => (await import("./gateway.ts")).gatewayScenario,
};
