// A program that does nothing but wait for the library, in a process that nothing else keeps alive. Run by keep-alive.test.ts.
import { openRouterModels, syncOnce } from "../../src/index.ts";
import { createSqliteStore } from "../../src/sqlite.ts";

const [, , what, place = ""] = process.argv;

if (what === "upstream-away") {
  const store = await createSqliteStore({ path: ":memory:" });
  const report = await syncOnce({ store, sources: [openRouterModels({ url: place })], fetch: { retries: 1, retryDelayMs: 20 } });
  console.log(report.outcome, report.sources[0]?.reason);
} else {
  const opened = await createSqliteStore({ path: place, busyTimeoutMs: 60 }).then(
    () => "opened",
    (error: { readonly code?: unknown }) => `refused ${String(error.code)}`,
  );
  console.log(opened);
}
