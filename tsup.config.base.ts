import type { Options } from "tsup";

/** How every package is built: ESM and CJS with types for both, for Node 20. `splitting: false` keeps one readable file per entry. */
export const base: Options = {
  entry: ["src/index.ts"],
  format: ["esm", "cjs"],
  dts: true,
  sourcemap: true,
  clean: true,
  target: "node20",
  platform: "node",
  treeshake: true,
  splitting: false,
};
