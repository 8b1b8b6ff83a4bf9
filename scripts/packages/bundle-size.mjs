import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const gzipped = (bytes) => gzipSync(bytes, { level: 9 }).length;

/** Bytes after minifying and gzip of one bundle of `specifiers`, resolved from `folder`; `external` is left out of it. */
export async function bundleSize(folder, specifiers, external = []) {
  const contents = specifiers.map((specifier, at) => `export * as entry${at} from "${specifier}";`).join("\n");
  const result = await build({
    stdin: { contents, resolveDir: folder, loader: "js" },
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    platform: "node",
    target: "node20",
    external,
    logLevel: "silent",
  });
  return gzipped(result.outputFiles[0].contents);
}
