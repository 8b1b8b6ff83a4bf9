import { createRequire } from "node:module";
import { join } from "node:path";
import { Script } from "node:vm";
import { build } from "esbuild";
import { expect, it } from "vitest";

/** The CommonJS build of `/sqlite`, loaded where `import()` is refused: as under Jest, and as in a webpack bundle, which knows no such module. */
async function loadWithoutImport(): Promise<typeof import("../src/sqlite.ts")> {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, "../src/sqlite.ts")],
    write: false,
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node20",
    conditions: ["@larder/source"],
  });
  const module = { exports: {} };
  new Script(`(module, require) => {${outputFiles[0]?.text}}`).runInThisContext()(module, createRequire(import.meta.url));
  return module.exports as typeof import("../src/sqlite.ts");
}

it("a store opens with the runtime's own SQLite where import() is refused; where there is none, who has libsql is not told to install it", async () => {
  const { createSqliteStore } = await loadWithoutImport();
  const open = async (): Promise<unknown> => {
    const store = await createSqliteStore({ path: ":memory:" });
    await store.close();
    return "opened";
  };
  if (process.getBuiltinModule("node:sqlite")) return expect(await open()).toBe("opened");
  return expect(open()).rejects.toMatchObject({
    code: "ERR_CACHE_BACKEND",
    message: expect.stringMatching(/libsql could not be imported here/),
    cause: expect.objectContaining({ message: expect.stringMatching(/import/) }),
  });
});
