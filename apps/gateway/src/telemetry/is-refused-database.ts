/** Whether an error is a server's answer to the choice of a database. */
export function isRefusedDatabase(error: unknown): boolean {
  return (error as { readonly command?: { readonly name?: unknown } }).command?.name === "select";
}
