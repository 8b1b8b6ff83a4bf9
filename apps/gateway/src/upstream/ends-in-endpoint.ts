/** Why a base URL that ends in an endpoint's own path is refused: the paths are put behind it, and one that is there already would stand there twice. */
export const ENDS_IN_ENDPOINT = "must end where the paths of the API begin, as in https://host/v1, without one such as /chat/completions";

/** Whether a base URL ends in the path of an endpoint, as it is copied from a provider's documentation. */
export function endsInEndpoint(baseUrl: string): boolean {
  return /\/(completions|embeddings|responses|messages)\/*$/.test(baseUrl);
}
