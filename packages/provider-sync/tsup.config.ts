import { defineConfig } from "tsup";
import { base } from "../../tsup.config.base.ts";

// The heavy parts are entries of their own, so that the main one needs nothing but zod.
export default defineConfig({ ...base, entry: ["src/index.ts", "src/sqlite.ts"], removeNodeProtocol: false });
