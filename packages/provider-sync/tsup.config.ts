import { defineConfig } from "tsup";
import { base } from "../../tsup.config.base.ts";

// The heavy parts are entries of their own, so that the main one needs nothing but zod; the command line is ESM alone, and split, so that
// it loads a database client only when it is asked for that database. Both build at once, so the first must not clean the other's files.
export default defineConfig([
  {
    ...base,
    entry: ["src/index.ts", "src/sqlite.ts", "src/postgres.ts", "src/redis-mirror.ts", "src/redis-lock.ts"],
    clean: ["!main.js", "!cli-*.js"],
    removeNodeProtocol: false,
  },
  {
    ...base,
    entry: ["src/main.ts"],
    format: ["esm"],
    dts: false,
    clean: ["!{index,sqlite,postgres,redis-mirror,redis-lock}.*", "!*.d.ts", "!*.d.cts"],
    removeNodeProtocol: false,
    splitting: true,
    esbuildOptions: (options) => {
      options.chunkNames = "cli-[hash]";
    },
  },
]);
