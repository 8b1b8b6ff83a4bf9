import { publicUrl } from "./public-url.ts";
import { SourceError } from "./source-error.ts";

/** How one request is sent, and with what. */
export interface RedirectOptions {
  /** Sends one request without following anything. */
  send(url: string, headers: Record<string, string>): Promise<Response>;
  /** Whether a host is on a private network. */
  isPrivate(url: URL): Promise<boolean>;
  readonly headers: Record<string, string>;
  /** What an origin that was not asked for is told: nothing that could be a key. */
  readonly bareHeaders: Record<string, string>;
}

const REDIRECT_STATUS = new Set([301, 302, 303, 307, 308]);
const MAX_REDIRECTS = 5;

/** Where a redirect leads; `undefined` when that is no web address, or one without the encryption that was asked for. */
function targetOf(from: string, location: string): URL | undefined {
  if (!URL.canParse(location, from)) return undefined;
  const to = new URL(location, from);
  const isAllowed = to.protocol === "https:" || (to.protocol === "http:" && new URL(from).protocol === "http:");
  return isAllowed ? to : undefined;
}

/** Whether an upstream points from outside into a network of our own: nobody out there is to say what is asked in here. */
async function leadsInside(from: string, to: URL, { isPrivate }: RedirectOptions): Promise<boolean> {
  return to.origin !== new URL(from).origin && (await isPrivate(to)) && !(await isPrivate(new URL(from)));
}

/**
 * The answer at the end of a few redirects. `fetch` drops `authorization` alone when a redirect leads to another origin: a key in
 * `x-api-key`, or in any header of the caller's, would go to whoever an upstream points at.
 * @throws {SourceError} http-status when they do not end, or lead where they may not
 */
export async function followRedirects(url: string, options: RedirectOptions): Promise<Response> {
  let { headers } = options;
  let from = url;
  for (let redirects = 0; ; redirects += 1) {
    const response = await options.send(from, headers);
    const { status } = response;
    const location = REDIRECT_STATUS.has(status) ? response.headers.get("location") : null;
    if (location === null) return response;
    await response.body?.cancel().catch(() => {});
    const to = targetOf(from, location);
    if (to === undefined || redirects >= MAX_REDIRECTS || (await leadsInside(from, to, options)))
      throw new SourceError("http-status", `${publicUrl(url)} redirects more than ${MAX_REDIRECTS} times, or to where it may not`, {
        status,
      });
    if (to.origin !== new URL(from).origin) headers = options.bareHeaders;
    from = to.href;
  }
}
