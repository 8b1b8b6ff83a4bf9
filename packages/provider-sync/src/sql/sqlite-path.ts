/**
 * The file that a `file:` URL or a path names; `:memory:` stays what it is. `file:///` begins a URL, in which spaces and the like are escaped, as
 * `pathToFileURL` gives it; behind `file:` alone stands a path as it is.
 */
export function sqlitePath(address: string): string {
  return address.startsWith("file:///") ? unescaped(address.slice("file://".length)) : address.replace(/^file:/, "");
}

/** What is no escaped text was written as it is. */
function unescaped(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
