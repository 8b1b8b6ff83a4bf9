import { resolveTestApi, type TestApi } from "./test-api.ts";

/** What the parts of a suite are written with. Parts take its members out of it. */
export class Suite<Options extends { readonly testApi?: TestApi }> {
  readonly options: Options;
  readonly describe: TestApi["describe"];
  readonly it: TestApi["it"];
  readonly expect: TestApi["expect"];

  constructor(options: Options) {
    const { describe, it, expect } = resolveTestApi(options.testApi);
    this.options = options;
    this.describe = describe;
    this.it = it;
    this.expect = expect;
  }
}
