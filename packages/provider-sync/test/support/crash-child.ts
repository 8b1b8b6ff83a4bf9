// A sync in a process of its own that kills itself at one step, as a power cut would. Run by run-crash-child.ts.
import { Redis } from "ioredis";
import { syncOnce } from "../../src/index.ts";
import { openPostgresDatabase } from "../../src/postgres.ts";
import { createRedisMirror } from "../../src/redis-mirror.ts";
import type { SqlDatabase, SqlQuery } from "../../src/sql/sql-database.ts";
import { SqlSnapshotStore } from "../../src/sql/sql-snapshot-store.ts";
import { openSqliteDatabase } from "../../src/sqlite.ts";
import { listings, ScriptedSource } from "./listings.ts";
import type { CrashPlan } from "./run-crash-child.ts";

const plan = JSON.parse(process.argv[2] ?? "") as CrashPlan;

function die(): never {
  process.kill(process.pid, "SIGKILL");
  // The signal comes at once; nothing after it may run.
  for (;;);
}

let statements = 0;
let isArmed = false;

/** Dies before statement `dieBeforeStatement` of the commit's transaction; 1 is the first. */
function counting(query: SqlQuery): SqlQuery {
  return (statement, parameters) => {
    statements += 1;
    if (isArmed && statements === plan.dieBeforeStatement) die();
    return query(statement, parameters);
  };
}

function dying(database: SqlDatabase): SqlDatabase {
  return {
    dialect: database.dialect,
    query: database.query,
    transaction: async (work) => {
      statements = 0;
      const result = await database.transaction(async (query) => {
        const own = await work(counting(query));
        if (isArmed && plan.dieAt === "before-commit") die();
        return own;
      });
      if (isArmed && plan.dieAt === "after-commit") die();
      return result;
    },
    withLock: (name, work) => database.withLock(name, work),
    close: () => database.close(),
  };
}

const opened = plan.address.startsWith("postgres")
  ? openPostgresDatabase({ url: plan.address, maxConnections: 2 })
  : await openSqliteDatabase({ path: plan.address });
const store = await SqlSnapshotStore.open(dying(opened));
const redis = new Redis(plan.redisUrl);
let evals = 0;
const client = {
  hmgetBuffer: (key: string, ...fields: string[]) => redis.hmgetBuffer(key, ...fields),
  eval: (script: string, keys: number, ...rest: Array<string | number | Buffer>) => {
    evals += 1;
    const isLast = evals === 2;
    if (isLast && plan.dieAt === "before-mirror-write") die();
    const sent = redis.eval(script, keys, ...rest);
    // Sent and not answered: the process is gone, the command may still take effect.
    if (isLast && plan.dieAt === "during-mirror-write") setImmediate(die);
    return sent;
  },
};
isArmed = true;
const report = await syncOnce({
  sources: [new ScriptedSource(listings(plan.models, { input: plan.price, output: 2 }))],
  store,
  mirror: createRedisMirror({ client, keyPrefix: plan.keyPrefix }),
  onEvent: (event) => {
    if (event.type === "snapshot-committed" && plan.dieAt === "before-mirror") die();
    if (event.type === "mirror-finished" && plan.dieAt === "after-mirror") die();
  },
});
process.send?.({ outcome: report.outcome, statements });
process.exit(0);
