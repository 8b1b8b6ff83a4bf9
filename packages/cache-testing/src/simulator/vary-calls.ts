import {
  CacheError,
  type GetOrSetOptions,
  type LoadContext,
  type Loader,
  type MaybePromise,
  type RandomSource,
  type ReadThroughCache,
  type SetOptions,
} from "@larder/cache-core";

type LoadOf = (context: LoadContext<unknown>) => MaybePromise<unknown>;

/** Passes answers on, whether they come at once or later. */
function follow<T, R>(answer: MaybePromise<T>, pick: (answer: T) => R): MaybePromise<R> {
  return answer instanceof Promise ? answer.then(pick) : pick(answer);
}

/** What a call that means to load may ask for besides: each of it now and then. */
function varyOptions(options: GetOrSetOptions | undefined, random: RandomSource): GetOrSetOptions {
  return {
    ...options,
    ...(random.next() < 0.3 ? { errorTtlMs: 1 + 60 * random.next() } : {}),
    ...(random.next() < 0.3 ? { jitter: random.next() } : {}),
    ...(random.next() < 0.2 ? { earlyRefresh: 3 * random.next() } : {}),
    ...(random.next() < 0.2 ? { negativeTtlMs: 5 } : {}),
  };
}

/** A loader that names its value's tags by itself, has it live for shorter, keeps it from being stored, or finds that there is none. */
function varyLoader(
  load: LoadOf,
  options: GetOrSetOptions | undefined,
  random: RandomSource,
  onEmpty: () => void,
): [load: Loader<unknown>, options: GetOrSetOptions] {
  const asked = varyOptions(options, random);
  const dice = random.next();
  if (dice < 0.2) {
    const { tags = [], ...rest } = asked;
    const tagging = (context: LoadContext<unknown>): MaybePromise<unknown> => {
      const value = load(context);
      context.setOptions({ tags });
      return value;
    };
    return [tagging, rest];
  }
  const change = (context: LoadContext<unknown>): MaybePromise<unknown> => {
    if (dice < 0.3) context.setOptions({ ttlMs: 1 + 50 * random.next() });
    else if (dice < 0.35) context.skipStore();
    return follow(load(context), (value) => {
      if (dice <= 0.97) return value;
      onEmpty();
      return undefined;
    });
  };
  return [change, asked];
}

/** A load that took too long for another caller is a failed one for who comes while its error is held back. */
function toHeldBack(error: unknown): never {
  throw CacheError.is(error) && error.code === "ERR_CACHE_TIMEOUT" ? new Error("the database failed to answer in time") : error;
}

/**
 * The same cache, each of whose calls is made in one of the ways in which it can be: alone or as one of many, by `lookup`, with a look at `has`, and
 * with what options and loaders can ask for beside what a plan has drawn. What a simulated application does with a cache, it does by fewer of them.
 */
export function varyCalls(cache: ReadThroughCache<unknown>, random: RandomSource): ReadThroughCache<unknown> {
  const get = (key: string): MaybePromise<unknown> => {
    const dice = random.next();
    if (dice < 0.3) return follow(cache.getMany([key]), ([value]) => value);
    if (dice < 0.6) return follow(cache.lookup(key), (found) => (found.status === "hit" ? found.value : undefined));
    if (dice < 0.7) void Promise.resolve(cache.has(key)).catch(() => {});
    return cache.get(key);
  };
  const set = (key: string, value: unknown, options?: SetOptions): MaybePromise<boolean> =>
    random.next() < 0.5
      ? cache.set(key, value, options)
      : follow(cache.setMany([[key, value]], options), ([isStored]) => isStored === true);
  const remove = (key: string): MaybePromise<boolean> =>
    random.next() < 0.5 ? cache.delete(key) : follow(cache.deleteMany([key]), (count) => count > 0);
  // Of keys for which a loader found that there is no value. For an application that is as when it fails: nobody else may be given nothing.
  const emptied = new Set<string>();
  const getOrSet = (key: string, load: LoadOf, options?: GetOrSetOptions): MaybePromise<unknown> => {
    const toFound = (value: unknown): unknown => {
      if (value === undefined && emptied.has(key)) throw new Error("the database failed to have it");
      return value;
    };
    const answer = cache.getOrSet(key, ...varyLoader(load, options, random, () => emptied.add(key)));
    return answer instanceof Promise ? answer.catch(toHeldBack).then(toFound) : toFound(answer);
  };
  const varied: Record<PropertyKey, unknown> = { get, set, delete: remove, getOrSet };
  return new Proxy(cache, {
    get: (target, name) => {
      const own = varied[name] ?? Reflect.get(target, name);
      return typeof own === "function" ? own.bind(target) : own;
    },
  });
}
