/**
 * The folder that a typed address names, as an absolute URL that ends in a slash; or why it cannot be one. The page's
 * policy lets it connect to https hosts and to its own origin alone. A model's page on Hugging Face stands for its
 * files.
 * @param base Address of the page.
 */
export function modelUrl(typed: string, base: string): { url: string } | { problem: string } {
  const text = typed.trim();
  if (text === '') return { problem: 'Type the address of a folder with a config.json.' };
  let url: URL;
  try {
    url = new URL(text, base);
  } catch {
    return { problem: 'This is not an address. It begins with https://.' };
  }
  if (url.protocol !== 'https:' && url.origin !== new URL(base).origin)
    return { problem: 'Models are loaded over https, or from this page’s own host.' };
  if (url.username || url.password)
    return { problem: 'Leave user names and passwords out: the address is remembered.' };
  url.hash = '';
  url.search = '';
  const repository = /^\/([\w.-]+\/[\w.-]+)(?:\/tree\/([\w.-]+))?\/?$/.exec(url.pathname);
  if (url.hostname === 'huggingface.co' && repository)
    url.pathname = `/${repository[1]}/resolve/${repository[2] ?? 'main'}/`;
  if (url.pathname.endsWith('/config.json')) url.pathname = url.pathname.slice(0, -'config.json'.length);
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return { url: url.href };
}

/** A short name for a model at an address: the last part of its path that says something. */
export function modelName(url: string): string {
  const { hostname, pathname } = new URL(url);
  const hub = /^\/[\w.-]+\/([\w.-]+)\/resolve\//.exec(pathname)?.[1];
  if (hostname === 'huggingface.co' && hub) return hub;
  const last = pathname.split('/').filter(Boolean).at(-1);
  return last ? safeDecode(last) : hostname;
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
