import { defineConfig } from "tsup";
import { base } from "../../tsup.config.base.ts";

// The heavy parts are entries of their own, so that the main one needs nothing but zod; the command line is ESM alone. Both build at
// once, so the first must not clean the other's file.
export default defineConfig([
  {
    ...base,
    entry: ["src/index.ts", "src/sqlite.ts", "src/postgres.ts", "src/redis-mirror.ts", "src/redis-lock.ts"],
    clean: ["!main.js", "!main.js.map"],
    removeNodeProtocol: false,
  },
  { ...base, entry: ["src/main.ts"], format: ["esm"], dts: false, clean: false, removeNodeProtocol: false },
]);
