import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Projects by how long their tests take, longest first; the others follow by name. */
const BUSIEST = ["@larder/pubsub-invalidation", "@larder/provider-sync", "@larder/cache-redis", "@larder/gateway", "@larder/cache-testing"];

const rank = ({ project }: TestSpecification): number => {
  const at = BUSIEST.indexOf(project.name);
  return at < 0 ? BUSIEST.length : at;
};

/**
 * Vitest takes the projects by name, and would end with the longest file of the last one alone on one core. Within a project its own order
 * stands: what failed, then what took longest, then what is largest.
 */
export class BusiestProjectsFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted
      .map((file, at) => ({ file, at }))
      .sort((a, b) => rank(a.file) - rank(b.file) || a.at - b.at)
      .map(({ file }) => file);
  }
}
