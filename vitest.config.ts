import { readdirSync } from "node:fs";
import { defineConfig } from "vitest/config";

// Tests run the sources, not the builds: the "@larder/source" condition of every package's exports points there.
// Without "module", which is a bundler's word: what stands behind it need not load in Node, to which vitest hands these conditions on.
const conditions = ["@larder/source", "node", "development|production"];

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
    // Most tests wait for a server rather than compute: twice the cores keeps both busy.
    maxWorkers: 4,
    // In CI alone: real clusters, failovers and browsers on a shared machine now and then lose a race with their own start-up.
    retry: process.env.CI ? 2 : 0,
    testTimeout: 20_000,
    hookTimeout: 60_000,
  },
});
