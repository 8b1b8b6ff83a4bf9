import type { Upstream } from "./upstream.ts";
import { UpstreamFailure } from "./upstream-failure.ts";

/** Longer than any pause that is waited for here: only a fallback may do better now. */
const RETRY_AFTER_SECONDS = "60";

/** In the place of a stored provider that cannot be used: what is asked of it is asked of nobody else, least of all of the default upstream. */
export function refusingUpstream(problem: string): Upstream {
  return {
    call: () =>
      Promise.reject(
        new UpstreamFailure(problem, { status: 503, headers: { "retry-after": RETRY_AFTER_SECONDS }, isProviderFault: false }),
      ),
    close: () => Promise.resolve(),
  };
}
