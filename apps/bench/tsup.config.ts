import { defineConfig } from "tsup";
import { base } from "../../tsup.config.base.ts";

// The library, which reads results, for ESM and CJS; the programs, which nobody imports, for ESM alone and split, so that a scenario is
// loaded only when it runs. All build at once, so neither may clean the other's files.
export default defineConfig([
  { ...base, entry: ["src/index.ts"], clean: ["!main.js", "!child.js", "!scenario-child.js", "!chunk-*"] },
  {
    ...base,
    entry: ["src/main.ts", "src/child.ts", "src/scenario-child.ts"],
    format: ["esm"],
    dts: false,
    clean: ["!index.*"],
    splitting: true,
  },
]);
