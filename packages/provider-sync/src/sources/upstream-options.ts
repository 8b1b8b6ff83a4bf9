import { CacheError, checkOptions, type OptionNames } from "@larder/cache-core";

/** Where a source's upstream is, and how it is asked. */
export interface UpstreamOptions {
  /** URL of the list: `https:`, `http:`, or `file:` for a stored body; without user and password. @default the upstream's public address */
  readonly url?: string;
  /** Key sent as a bearer token. @default none: the public lists need none */
  readonly apiKey?: string;
}

/** Their names. */
export const UPSTREAM_OPTIONS: OptionNames<UpstreamOptions> = { url: true, apiKey: true };

/** An address that can be asked, as it is. It may hold a key, so that no error quotes it. @throws {CacheError} ERR_CACHE_INVALID_OPTION */
export function checkAddress(option: string, address: string): string {
  const { protocol, username, password } = URL.canParse(address) ? new URL(address) : {};
  if (protocol !== "https:" && protocol !== "http:" && protocol !== "file:")
    throw new CacheError("ERR_CACHE_INVALID_OPTION", `${option} must be a URL such as https://host/v1, or the file: URL of a stored body`);
  if (username || password)
    throw new CacheError("ERR_CACHE_INVALID_OPTION", `${option} must not hold a user or password: no request carries them; give apiKey`);
  return address;
}

/**
 * The address that was given, else the public one. `names`: those of the source's options; with one that is not among them, `baseUrl` say, the
 * public list would be asked instead of the one that was meant.
 * @throws {CacheError} ERR_CACHE_INVALID_OPTION
 */
export function addressOf<Options extends UpstreamOptions>(options: Options, publicAddress: string, names: OptionNames<Options>): string {
  checkOptions(options, names);
  const { url } = options;
  return url === undefined ? publicAddress : checkAddress("url", url);
}

/** Headers for an optional key. */
export function authorization(apiKey: string | undefined): Record<string, string> {
  return apiKey ? { authorization: `Bearer ${apiKey}` } : {};
}
