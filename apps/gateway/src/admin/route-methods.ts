/** A route as a router lists it. */
export interface ListedRoute {
  readonly method: string;
  readonly path: string;
}

/** With which methods a router's paths are used, read from its own list: a route that is added is known here. */
export class RouteMethods {
  readonly #routes: ReadonlyArray<{ readonly method: string; readonly pattern: RegExp }>;

  /** @param routes with parameters as `:name`; those for all methods are checks in front of routes, and no routes */
  constructor(routes: readonly ListedRoute[]) {
    this.#routes = routes
      .filter(({ method }) => method !== "ALL")
      .map(({ method, path }) => ({ method, pattern: new RegExp(`^${path.replace(/:\w+/g, "[^/]+")}$`) }));
  }

  /** As `allow` lists them; empty for a path that is none. */
  of(path: string): readonly string[] {
    const methods = new Set(this.#routes.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method));
    if (methods.has("GET")) methods.add("HEAD");
    return [...methods].sort();
  }
}
