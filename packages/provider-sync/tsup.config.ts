import { defineConfig } from "tsup";
import { base } from "../../tsup.config.base.ts";

// The heavy parts are entries of their own, so that the main one needs nothing but zod; the command line is ESM alone.
export default defineConfig([
  {
    ...base,
    entry: ["src/index.ts", "src/sqlite.ts", "src/postgres.ts", "src/redis-mirror.ts", "src/redis-lock.ts"],
    removeNodeProtocol: false,
  },
  { ...base, entry: ["src/main.ts"], format: ["esm"], dts: false, clean: false, removeNodeProtocol: false },
]);
