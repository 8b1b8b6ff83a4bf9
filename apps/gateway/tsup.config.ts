import { defineConfig } from "tsup";
import { base } from "../../tsup.config.base.ts";

// The library for ESM and CJS; the command, which nobody imports, for ESM alone. Both build at once, so neither may clean the other's files.
export default defineConfig([
  { ...base, entry: ["src/index.ts"], shims: true, clean: ["!main.js"] },
  { ...base, entry: ["src/main.ts"], format: ["esm"], dts: false, clean: ["!index.*"] },
]);
