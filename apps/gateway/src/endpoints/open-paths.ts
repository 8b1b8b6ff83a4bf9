import { globPattern } from "../config/glob-pattern.ts";

/**
 * What an API answers from the request alone. Everything else (files, batches, threads, vector stores, fine-tunings, stored responses, …)
 * reads or changes what the provider keeps for its account: the operator's one account, which does not know our tenants.
 */
const STATELESS: ReadonlySet<string> = new Set([
  "/v1/audio/speech",
  "/v1/audio/transcriptions",
  "/v1/audio/translations",
  "/v1/classify",
  "/v1/fim/completions",
  "/v1/images/edits",
  "/v1/images/variations",
  "/v1/messages/count_tokens",
  "/v1/moderations",
  "/v1/rerank",
  "/v1/score",
]);

/**
 * The paths beside the cached ones that tenants may use. What keeps nothing is open. The rest is closed, since one tenant could list, read
 * and delete there what is another's, unless the operator opens it.
 */
export class OpenPaths {
  readonly #isAll: boolean;
  readonly #patterns: ReadonlyArray<(path: string) => boolean>;

  /** @param opened paths such as `/v1/files`, in which `*` stands for any run of characters; `all` opens every path */
  constructor(opened: readonly string[]) {
    this.#isAll = opened.includes("all");
    this.#patterns = opened.map(globPattern);
  }

  /** Whether tenants may make such a request. */
  allows(method: string, path: string): boolean {
    return this.#isAll || (method === "POST" && STATELESS.has(path)) || this.#patterns.some((fits) => fits(path));
  }
}

/**
 * Whether another program might resolve a path to one outside of the API, or to another one in it: nothing of the kind is passed on with a
 * credential.
 */
export function isAmbiguous(path: string): boolean {
  const decoded = path
    .replace(/%(25)*2f/gi, "/")
    .replace(/%(25)*5c/gi, "\\")
    .replace(/%(25)*2e/gi, ".");
  // A fragment would stay behind here: what was judged would not be what is asked for. Nor does a path have a control character in it.
  return /\/\/|\\|#|%(25)*([01][0-9a-f]|7f)|(^|\/)\.{1,2}(;[^/]*)?(\/|$)|[^\x21-\x7e]/i.test(decoded);
}
