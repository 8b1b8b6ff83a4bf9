const SOURCE_CONDITION = "@larder/source";

function withoutSource(entry) {
  if (typeof entry !== "object") return entry;
  const kept = Object.entries(entry).filter(([condition]) => condition !== SOURCE_CONDITION);
  return Object.fromEntries(kept.map(([key, value]) => [key, withoutSource(value)]));
}

/** Whether an entry is for this workspace alone: it has nothing but a source, and is left out of what is published. */
export const isInternal = (entry) => typeof entry === "object" && Object.keys(entry).every((condition) => condition === SOURCE_CONDITION);

/**
 * The manifest fields that follow from `exports`: `publishExports`, the same without the source condition (a user has no sources), and
 * `typesVersions`, which lets compilers with the old `node10` resolution find the types of subpaths; `undefined` where there are none.
 */
export function publishFields(exports) {
  const published = Object.entries(exports).filter(([, entry]) => !isInternal(entry));
  const subpaths = published.filter(([subpath, entry]) => subpath !== "." && typeof entry === "object");
  const types = subpaths.map(([subpath, entry]) => [subpath.slice(2), [entry.import.types]]);
  return {
    publishExports: withoutSource(Object.fromEntries(published)),
    typesVersions: types.length > 0 ? { "*": Object.fromEntries(types) } : undefined,
  };
}
