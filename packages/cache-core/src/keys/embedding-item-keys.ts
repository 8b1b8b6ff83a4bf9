import { CacheError } from "../errors.ts";
import type { CanonicalRequest } from "./canonical-request.ts";
import type { KeyScope, Route } from "./key-scope.ts";
import { readForm } from "./read-source.ts";
import { formatKey, preimageHead } from "./request-key.ts";
import { sha256OfByteText } from "./sha256.ts";

/** The items of an `input`: a string or a list of token numbers is one item, a list of those is many. */
function itemForms(form: string): readonly string[] {
  if (!form.startsWith("[")) return [form];
  const items = readForm(form).readItems();
  const isTokenList = items.length > 0 && items.every((item) => /^[-\d]/.test(item));
  return isTokenList ? [form] : items;
}

/**
 * One key for each input item of an embeddings request, in the order of the items: the rest of the body with that item alone. So `"a"`,
 * `["a"]` and the first of `["a", "b"]` share an entry, and a batch finds what any batch before it has stored. Equal items get equal keys;
 * the caller puts answers back by position.
 * @throws {CacheError} ERR_CACHE_INVALID_OPTION when the request is not for embeddings or the scope is for another endpoint
 */
export function embeddingItemKeys(scope: KeyScope, request: CanonicalRequest, route?: Route): string[] {
  if (request.endpoint !== "embedding")
    throw new CacheError("ERR_CACHE_INVALID_OPTION", `request must be for the embedding endpoint, got ${request.endpoint}`);
  const rest = sha256OfByteText(`${preimageHead(scope, request, route)}item${request.keyForm("input")}`);
  const input = request.form("input");
  return input === undefined ? [] : itemForms(input).map((item) => formatKey(scope, request, sha256OfByteText(rest + item)));
}
