/** Whether a text has no lone surrogates, and so survives UTF-8. Node 20 has the method; the ES2023 types that the packages build with do not. */
export function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}
