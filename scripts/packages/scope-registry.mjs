import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { basename } from "node:path";

/** What is published here, as `name@version`, for who wants to know. */
async function takeIn(request, published) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const { name, versions, _attachments: attachments } = JSON.parse(Buffer.concat(chunks).toString());
  if (Object.values(attachments ?? {}).every(({ length }) => !(length > 0))) throw new Error(`${name}: published without a tarball`);
  for (const version of Object.keys(versions)) published.add(`${name}@${version}`);
}

/**
 * A registry for one scope on the loopback interface: answers the two requests an npm client makes for each packed package (its
 * document, its tarball) and 404 for all else. With `@larder:registry=URL` in a folder's `.npmrc`, `npm install @larder/…` there gets
 * exactly the bytes that would be published, siblings included, and third-party packages still come from the usual place.
 * It also takes what is published, and keeps no more of it than the names.
 */
export async function startScopeRegistry(packed) {
  const published = new Set();
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
    if (request.method === "PUT") {
      takeIn(request, published).then(
        () => response.writeHead(201).end('{"ok":true}'),
        (error) => response.writeHead(400).end(JSON.stringify({ error: error.message })),
      );
      return undefined;
    }
    if (!entry) return response.writeHead(404).end('{"error":"not found"}');
    return response.end(JSON.stringify(documentOf(entry, request.headers.host)));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    published,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
