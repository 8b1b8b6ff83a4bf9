import { defineConfig } from "tsup";
import { base } from "../../tsup.config.base.ts";

// The library for ESM and CJS; the command, which nobody imports, for ESM alone. Both build at once, so neither may clean the other's files.
// The dashboard's files are copied beside the built ones; nothing of them is bundled.
export default defineConfig([
  { ...base, entry: ["src/index.ts"], shims: true, clean: ["!main.js", "!dashboard/**"] },
  { ...base, entry: ["src/main.ts"], format: ["esm"], dts: false, clean: ["!index.*"], publicDir: "src/public" },
]);
