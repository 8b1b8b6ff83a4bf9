import { defineConfig } from "tsup";
import { base } from "../../tsup.config.base.ts";

export default defineConfig({
  ...base,
  entry: {
    index: "src/index.ts",
    explain: "src/explain.ts",
    keys: "src/keys.ts",
    keyv: "src/keyv/index.ts",
    normalize: "src/normalize.ts",
  },
});
