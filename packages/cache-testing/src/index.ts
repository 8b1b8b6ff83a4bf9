// Suites.

export { BusRecorder } from "./bus-recorder.ts";
export { describeBus } from "./describe-bus.ts";
export type { BusPair, DescribeBusOptions, MissingBusCapability } from "./describe-bus-options.ts";
export { describeCache } from "./describe-cache.ts";
export type { DescribeCacheOptions, MissingCapability } from "./describe-cache-options.ts";
export { describeReadThroughCache } from "./describe-read-through.ts";
export type { DescribeReadThroughCacheOptions, ReadThroughPair } from "./describe-read-through-options.ts";
export { describeStore } from "./describe-store.ts";
export type { DescribeStoreOptions, StorePair } from "./describe-store-options.ts";
// Servers and faults.
export type { Fault, FaultProxy } from "./fault-proxy.ts";
export { startFaultProxy } from "./fault-proxy.ts";
export { freePort } from "./free-port.ts";
// Time and models.
export { ManualClock, settle } from "./manual-clock.ts";
export { NaiveCache } from "./naive-cache.ts";
export type { NaiveStoreOptions } from "./naive-store.ts";
export { NaiveStore } from "./naive-store.ts";
export type { RedisCluster } from "./redis-cluster.ts";
export { startRedisCluster } from "./redis-cluster.ts";
export type { RedisReply } from "./redis-command.ts";
export { redisCommand } from "./redis-command.ts";
export type { RedisSentinelSet } from "./redis-sentinel.ts";
export { startRedisSentinel } from "./redis-sentinel.ts";
export type { RedisServer, RedisServerOptions } from "./redis-server.ts";
export { startRedisServer, waitUntil } from "./redis-server.ts";
// The simulator.
export type { Ablation } from "./simulator/ablations.ts";
export { ABLATIONS } from "./simulator/ablations.ts";
export type { VersionedValue } from "./simulator/coherence-oracle.ts";
export type { FaultPlan } from "./simulator/fault-plan.ts";
export { CLOCK_FAULTS, DEMOTION_FAULTS, FLOOD_FAULTS, REFUSAL_FAULTS, USUAL_FAULTS } from "./simulator/fault-plan.ts";
export type { LoadPlan, Operation } from "./simulator/operation-plan.ts";
export type { PlanLimits } from "./simulator/plan-limits.ts";
export type { RegressionFile } from "./simulator/regression-file.ts";
export { decodeRegression, describeFailure, encodeRegression } from "./simulator/regression-file.ts";
export { runInTurn } from "./simulator/run-in-turn.ts";
export type { ScheduleOptions, ScheduleResult } from "./simulator/run-schedule.ts";
export { runSchedule } from "./simulator/run-schedule.ts";
export type { SchedulePlan, StoreOutage } from "./simulator/schedule-plan.ts";
export { PLAN_FORMAT, planSchedule } from "./simulator/schedule-plan.ts";
export { SeededRandom } from "./simulator/seeded-random.ts";
export type { ShrunkSchedule } from "./simulator/shrink-schedule.ts";
export { shrinkSchedule } from "./simulator/shrink-schedule.ts";
export type { SimulationOptions, SimulationReport } from "./simulator/simulate.ts";
export { simulate } from "./simulator/simulate.ts";
export type { SimulatedBusPort, SimulatedRedisPort } from "./simulator/simulated-ports.ts";
export type { CreateProcess, Elsewhere, ProcessContext } from "./simulator/simulated-process.ts";
export { READ_ONLY, ReplyError, SimulatedRedis } from "./simulator/simulated-redis.ts";
export type { ScriptAblations } from "./simulator/simulated-scripts.ts";
export { SimulatedScripts } from "./simulator/simulated-scripts.ts";
export { varyCalls } from "./simulator/vary-calls.ts";
export { violationKind } from "./simulator/violation-kind.ts";
export { VirtualTime } from "./simulator/virtual-time.ts";
export type { TestApi } from "./test-api.ts";
export { uniquePrefix } from "./unique-key.ts";
