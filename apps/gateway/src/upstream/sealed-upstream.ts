import type { Upstream } from "./upstream.ts";
import { UpstreamFailure } from "./upstream-failure.ts";

/** Longer than any pause that is waited for here: only a fallback may do better now. */
const RETRY_AFTER_SECONDS = "60";

/** In the place of a provider whose credential does not open: what is asked of it is asked of nobody else, least of all of the default upstream. */
export const sealedUpstream: Upstream = {
  call: () =>
    Promise.reject(
      new UpstreamFailure("The provider's stored credential does not open with this gateway's master key.", {
        status: 503,
        headers: { "retry-after": RETRY_AFTER_SECONDS },
        isProviderFault: false,
      }),
    ),
  close: () => Promise.resolve(),
};
