import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { basename } from "node:path";

/**
 * A registry for one scope on the loopback interface: answers the two requests an npm client makes for each packed package (its
 * document, its tarball) and 404 for all else. With `@larder:registry=URL` in a folder's `.npmrc`, `npm install @larder/…` there gets
 * exactly the bytes that would be published, siblings included, and third-party packages still come from the usual place.
 */
export async function startScopeRegistry(packed) {
  const tarballs = new Map([...packed.values()].map(({ tarball }) => [basename(tarball), readFileSync(tarball)]));
  const documentOf = ({ manifest, tarball }, host) => {
    const file = basename(tarball);
    const integrity = `sha512-${createHash("sha512").update(tarballs.get(file)).digest("base64")}`;
    const version = { ...manifest, dist: { tarball: `http://${host}/-/${file}`, integrity } };
    return { name: manifest.name, "dist-tags": { latest: manifest.version }, versions: { [manifest.version]: version } };
  };
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://registry").pathname).slice(1);
    const tarball = path.startsWith("-/") ? tarballs.get(path.slice(2)) : undefined;
    if (tarball) return response.end(tarball);
    const entry = packed.get(path);
    response.setHeader("content-type", "application/json");
    if (!entry) return response.writeHead(404).end('{"error":"not found"}');
    return response.end(JSON.stringify(documentOf(entry, request.headers.host)));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
