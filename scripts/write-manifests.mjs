#!/usr/bin/env node
// Writes the fields of every package.json that follow from its `exports` (see publish-fields.mjs). Run it after adding a subpath.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { publishFields } from "./publish-fields.mjs";
import { workspacePackages } from "./workspace-packages.mjs";

for (const { path, manifest } of workspacePackages()) {
  const { publishExports, typesVersions } = publishFields(manifest.exports);
  const { typesVersions: _replaced, ...rest } = manifest;
  const entries = Object.entries({ ...rest, publishConfig: { ...rest.publishConfig, exports: publishExports } });
  // Beside the exports it belongs to.
  if (typesVersions) entries.splice(entries.findIndex(([key]) => key === "exports") + 1, 0, ["typesVersions", typesVersions]);
  writeFileSync(join(path, "package.json"), `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`);
}
