/** Where a source's upstream is, and how it is asked. */
export interface UpstreamOptions {
  /** URL of the list: `https:`, `http:`, or `file:` for a stored body. @default the upstream's public address */
  readonly url?: string;
  /** Key sent as a bearer token. @default none: the public lists need none */
  readonly apiKey?: string;
}

/** Headers for an optional key. */
export function authorization(apiKey: string | undefined): Record<string, string> {
  return apiKey ? { authorization: `Bearer ${apiKey}` } : {};
}
