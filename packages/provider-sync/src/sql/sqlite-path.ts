/** The file that a `file:` URL or a path names; `:memory:` stays what it is. */
export function sqlitePath(address: string): string {
  return address.replace(/^file:(?:\/\/(?=\/))?/, "");
}
