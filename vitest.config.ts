import { readdirSync } from "node:fs";
import { defineConfig } from "vitest/config";

// Tests run the sources, not the builds: the "@larder/source" condition of every package's exports points there.
const conditions = ["@larder/source", "module", "node", "development|production"];

const project = (folder: string) => ({
  extends: true as const,
  test: {
    name: `@larder/${folder.split("/")[1]}`,
    root: `${import.meta.dirname}/${folder}`,
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
  },
});

const folders = ["packages", "apps"].flatMap((parent) =>
  readdirSync(`${import.meta.dirname}/${parent}`).map((name) => `${parent}/${name}`),
);

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    projects: folders.map(project),
    reporters: ["default", `${import.meta.dirname}/scripts/closing-line.ts`],
    testTimeout: 20_000,
    hookTimeout: 60_000,
  },
});
