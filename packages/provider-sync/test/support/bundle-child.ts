import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { bundleProgram } from "../../../../scripts/bundle-program.ts";

/** Makes a program of a file of this folder, beside the packages that it leaves out. @returns the program's path */
export async function bundleChild(name: string): Promise<string> {
  const folder = join(import.meta.dirname, "../../node_modules/.cache");
  mkdirSync(folder, { recursive: true });
  const outfile = join(folder, `${name}-${process.pid}.mjs`);
  return bundleProgram(join(import.meta.dirname, `${name}.ts`), outfile, ["libsql", "ioredis", "postgres", "zod"]);
}
