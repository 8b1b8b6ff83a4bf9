/** Host and path of a URL, for messages: query and userinfo may hold keys. */
export function publicUrl(url: string): string {
  try {
    const { protocol, host, pathname } = new URL(url);
    return `${protocol}//${host}${pathname}`;
  } catch {
    return "an invalid URL";
  }
}
