import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "../run-command.mjs";
import { root } from "../workspace-packages.mjs";

/** Imports and requires each specifier in one process and compares the names: the two builds of a dual package must offer the same. */
const PROBE = `
import { createRequire } from "node:module";
const require = createRequire(import.meta.url);
const names = (module) => Object.keys(module).filter((name) => !["default", "module.exports", "__esModule"].includes(name)).sort().join(" ");
for (const specifier of process.argv.slice(2)) {
  const imported = names(await import(specifier));
  const required = names(require(specifier));
  if (imported !== required) throw new Error(\`\${specifier}: import gives [\${imported}], require gives [\${required}]\`);
  console.log(JSON.stringify({ specifier, count: imported ? imported.split(" ").length : 0 }));
}
process.exit(0);
`;

const TYPE_MODES = {
  node16: { module: "node16", moduleResolution: "node16", include: ["consumer.mts", "consumer.cts"] },
  bundler: { module: "esnext", moduleResolution: "bundler", include: ["consumer.ts"] },
};

/** An empty folder with an `.npmrc` that knows where our scope lives: what somebody who knows only npm starts from. */
export function createConsumer(folder, registryUrl) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, ".npmrc"), `@larder:registry=${registryUrl}\n`);
  writeFileSync(join(folder, "package.json"), '{ "name": "consumer", "version": "1.0.0", "private": true }\n');
  const run = (command, args, options) => runCommand(command, args, { cwd: folder, ...options });
  return {
    folder,
    run,
    install: (specifiers, flags = []) => run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", ...flags, ...specifiers]),

    /** How many names each specifier exports; throws when ESM and CJS disagree or either does not load. */
    async load(specifiers, node = process.execPath) {
      writeFileSync(join(folder, "probe.mjs"), PROBE);
      const output = await run(node, ["probe.mjs", ...specifiers]);
      return output
        .trim()
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line));
    },

    /**
     * Compiles a strict consumer of all specifiers against the packed types. Complaints inside other people's types are not ours; one
     * without a file, about the settings, would mean that nothing was looked at.
     */
    async compile(specifiers, mode, compiler) {
      const { include, ...resolution } = TYPE_MODES[mode];
      const lines = specifiers.flatMap((specifier, at) => [
        `import * as entry${at} from "${specifier}";`,
        `export const use${at}: typeof entry${at} = entry${at};`,
        // Types that are not found are any, and any goes everywhere: then this line has no error to expect, which is one.
        "// @ts-expect-error a module is no number",
        `export const misuse${at}: number = entry${at};`,
      ]);
      for (const file of include) writeFileSync(join(folder, file), `${lines.join("\n")}\n`);
      const compilerOptions = {
        ...resolution,
        target: "es2022",
        lib: ["es2023", "esnext.disposable"],
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        noEmit: true,
        skipLibCheck: false,
        types: ["node"],
        typeRoots: [join(root, "node_modules/@types")],
      };
      writeFileSync(join(folder, `tsconfig.${mode}.json`), JSON.stringify({ compilerOptions, include }));
      const isForeign = (line) => /^\S*node_modules\/(?!@larder\/)/.test(line);
      const ours = (text) => text.split("\n").filter((line) => /error TS/.test(line) && !isForeign(line));
      const problems = await run(process.execPath, [compiler, "-p", `tsconfig.${mode}.json`, "--pretty", "false"]).then(
        () => [],
        (error) => ours(error.message),
      );
      if (problems.length > 0) throw new Error(problems.slice(0, 12).join("\n"));
    },
  };
}
