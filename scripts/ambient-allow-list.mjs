/**
 * Where a package may read the machine's own time or chance. Everywhere else it asks the injected `Clock` and `RandomSource`, because the
 * simulator drives the very same code. `uses` are the only readings that file may contain; an entry that no longer matches anything fails.
 */
export const ambientAllowList = [
  { file: "packages/cache-core/src/clock.ts", uses: ["Date.now", "performance.now", "setTimeout"], reason: "the system clock itself" },
  { file: "packages/cache-core/src/random.ts", uses: ["Math.random", "randomBytes"], reason: "the system's random source itself" },
  {
    file: "packages/cache-redis/src/sealing.ts",
    uses: ["randomBytes"],
    reason: "an IV that repeats gives the key away: it comes from the operating system, whatever is injected",
  },
  {
    file: "packages/cache-testing/src/bus-recorder.ts",
    uses: ["setTimeout"],
    reason: "gives up waiting for a message of a real bus, so that a test fails instead of hanging",
  },
  {
    file: "packages/cache-testing/src/fault-proxy.ts",
    uses: ["performance.now", "setTimeout"],
    reason: "delays real bytes between real sockets; nothing simulated runs through it",
  },
  {
    file: "packages/cache-testing/src/redis-server.ts",
    uses: ["performance.now", "setTimeout"],
    reason: "waits for a real server process to answer",
  },
  {
    file: "packages/cache-testing/src/unique-key.ts",
    uses: ["randomBytes"],
    reason: "a prefix that no other test run on the same server has",
  },
];
