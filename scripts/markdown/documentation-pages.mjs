import { existsSync } from "node:fs";
import { join } from "node:path";
import { filesBelow, root, workspacePackages } from "../workspace-packages.mjs";

const ROOT_PAGES = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "GLOSSARY.md"];

/** Every page a reader may open, as absolute paths; changelogs are history and are left out. */
export function documentationPages() {
  const packagePages = workspacePackages().flatMap(({ path }) =>
    filesBelow(path, (file) => file.endsWith(".md") && !file.endsWith("CHANGELOG.md")),
  );
  const pages = [
    ...ROOT_PAGES.map((name) => join(root, name)),
    ...filesBelow(join(root, "docs"), (file) => file.endsWith(".md")),
    ...packagePages,
  ];
  return pages.filter((path) => existsSync(path));
}
