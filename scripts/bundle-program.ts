import { build } from "esbuild";

/**
 * Makes a program of a TypeScript file and the sources that it leads to, for tests that need a process of their own: Node 20 runs no
 * TypeScript, and no built package is needed.
 * @param outfile where it is put. Packages that are left out are found from there
 * @param external the packages that are left out: those with binaries, and those that a program loads only where they are installed
 */
export async function bundleProgram(entry: string, outfile: string, external: readonly string[] = []): Promise<string> {
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    conditions: ["@larder/source"],
    external: [...external],
    // ioredis is CommonJS, and so are its own requires.
    banner: { js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);' },
    logLevel: "silent",
  });
  return outfile;
}
