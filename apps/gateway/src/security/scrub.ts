import type { Secret } from "./secret.ts";

/** Characters of a credential that may be shown at most. */
const MAX_SHOWN = 4;

/**
 * Takes credentials out of a text that somebody else wrote, such as an upstream's error. Providers quote keys whole or masked in the middle
 * (`sk-ab***wxyz`), so whatever begins like the credential goes, up to the next character that no key or mask has.
 */
export function scrub(text: string, secrets: ReadonlyArray<Secret | undefined>): string {
  let clean = text;
  for (const secret of secrets) {
    const value = secret?.reveal() ?? "";
    if (value.length <= MAX_SHOWN) {
      if (value !== "") clean = clean.replaceAll(value, "[redacted]");
      continue;
    }
    clean = clean.replaceAll(value, "[redacted]");
    const beginning = value.slice(0, MAX_SHOWN + 1).replace(/[\\^$.|?*+()[\]{}]/g, "\\$&");
    clean = clean.replace(new RegExp(`${beginning}[\\w*.…•+/=-]*`, "g"), "[redacted]");
    const end = value.slice(-(MAX_SHOWN + 1));
    clean = clean.replaceAll(end, "[redacted]");
  }
  return clean;
}
