import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
// @ts-expect-error The repository's scripts are JavaScript, of which the compiler knows no types.
import { documentedDefaults as readDefaults } from "../../../scripts/markdown/documented-defaults.mjs";

interface DocumentedDefault {
  /** The interface. */
  readonly owner: string;
  readonly name: string;
  readonly documented: unknown;
  /** What the code gives an option of this name, in the files that are about the interface. */
  readonly code: readonly unknown[];
}

const root = join(import.meta.dirname, "../../..");
const documentedDefaults = readDefaults as (files: readonly string[]) => DocumentedDefault[];

const sourcesOf = (folder: string): string[] =>
  readdirSync(join(root, folder, "src"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !/\.test(-d)?\.ts$/.test(file))
    .map((file) => join(root, folder, "src", file));

/** Options whose default is in what they are passed on to: in cache-core. */
const core = documentedDefaults(sourcesOf("packages/cache-core"));

function isKept({ name, documented, code }: DocumentedDefault): boolean {
  // What is left out is undefined, which is as good as false.
  if (code.length === 0 && documented === false) return true;
  const given = code.length > 0 ? code : core.filter((other) => other.name === name).flatMap((other) => other.code);
  return given.some((value) => JSON.stringify([value]) === JSON.stringify([documented]) && Object.is(typeof value, typeof documented));
}

describe("the defaults that doc comments and option tables tell are those of the code", () => {
  const least = {
    "cache-core": 18,
    "cache-memory": 4,
    "cache-redis": 10,
    "cache-testing": 10,
    "provider-sync": 40,
    "pubsub-invalidation": 6,
  };
  for (const [name, count] of Object.entries(least)) {
    it(`in ${name}`, () => {
      const defaults = documentedDefaults(sourcesOf(`packages/${name}`));
      expect(defaults.length).toBeGreaterThanOrEqual(count);
      expect(defaults.filter((option) => !isKept(option))).toEqual([]);
    });
  }

  it("in the gateway", () => {
    const defaults = documentedDefaults(sourcesOf("apps/gateway"));
    expect(defaults.length).toBeGreaterThanOrEqual(8);
    expect(defaults.filter((option) => !isKept(option))).toEqual([]);
  });
});

describe("a default that has drifted is noticed", () => {
  const folder = mkdtempSync(join(tmpdir(), "documented-defaults-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const drifted = (change: readonly [from: string, to: string]): string[] => {
    const path = join(folder, "options.ts");
    const source = readFileSync(join(root, "packages/cache-redis/src/options.ts"), "utf8");
    expect(source).toContain(change[0]);
    writeFileSync(path, source.replace(...change));
    return documentedDefaults([path])
      .filter((option) => !isKept(option))
      .map(({ name }) => name);
  };

  it.each([
    ["timeoutMs", ["timeoutMs = 50,", "timeoutMs = 60,"]],
    ["maxInFlight", ["maxInFlight = 4_096", "maxInFlight"]],
    ["maxValueBytes", ["@default 8388608 (8 MiB)", "@default 8000000 (8 MB)"]],
    ["keyPrefix", ['keyPrefix = "larder"', 'keyPrefix = "pantry"']],
  ] as const)("%s", (name, change) => expect(drifted(change)).toEqual([name]));

  it("and what has not is left in peace", () => expect(drifted(["timeoutMs = 50,", "timeoutMs = 50 ,"])).toEqual([]));
});
