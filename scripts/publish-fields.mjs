const SOURCE_CONDITION = "@larder/source";

function withoutSource(entry) {
  if (typeof entry !== "object") return entry;
  const kept = Object.entries(entry).filter(([condition]) => condition !== SOURCE_CONDITION);
  return Object.fromEntries(kept.map(([key, value]) => [key, withoutSource(value)]));
}

/**
 * The manifest fields that follow from `exports`: `publishExports`, the same without the source condition (a user has no sources), and
 * `typesVersions`, which lets compilers with the old `node10` resolution find the types of subpaths; `undefined` where there are none.
 */
export function publishFields(exports) {
  const subpaths = Object.entries(exports).filter(([subpath, entry]) => subpath !== "." && typeof entry === "object");
  const types = subpaths.map(([subpath, entry]) => [subpath.slice(2), [entry.import.types]]);
  return { publishExports: withoutSource(exports), typesVersions: types.length > 0 ? { "*": Object.fromEntries(types) } : undefined };
}
