import type { Options } from "tsup";

/**
 * How every package is built: ESM and CJS with types for both, for Node 20.
 * `splitting: false` keeps one readable file per entry. No source maps: what is published is not minified, so it is its own
 * source, and a map (which would carry the sources a second time) more than doubles what a user installs.
 */
export const base: Options = {
  entry: ["src/index.ts"],
  format: ["esm", "cjs"],
  dts: true,
  sourcemap: false,
  clean: true,
  target: "node20",
  platform: "node",
  treeshake: true,
  splitting: false,
};
