/**
 * Text without what a terminal obeys. Names and details come from upstreams: an escape sequence in a model's id could rewrite the lines
 * above it, set the window's title, or make text run backwards.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "\ufffd");
}

/** The same for JSON, where the value must stay what it was: JSON itself escapes only what is below a space. */
export function printableJson(value: unknown): string {
  const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(value, undefined, 2).replace(/[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, escaped);
}
