import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

/** Node 20 runs no TypeScript: a child is bundled from the sources, beside the packages that it leaves out. @returns the bundle's path */
export async function bundleChild(name: string): Promise<string> {
  const packageFolder = join(import.meta.dirname, "../..");
  const { build } = createRequire(join(packageFolder, "../../package.json"))("esbuild") as typeof import("esbuild");
  const folder = join(packageFolder, "node_modules/.cache");
  mkdirSync(folder, { recursive: true });
  const outfile = join(folder, `${name}-${process.pid}.mjs`);
  await build({
    entryPoints: [join(import.meta.dirname, `${name}.ts`)],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    conditions: ["@larder/source"],
    external: ["libsql", "ioredis", "postgres", "zod"],
  });
  return outfile;
}
