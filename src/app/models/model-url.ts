/** The hub that a bare `owner/name` belongs to, unless the user names another one. */
export const DEFAULT_HUB = 'https://huggingface.co';

/** The published checkpoint: what an empty field stands for. */
export const DEFAULT_MODEL = 'Zhang199/TinyLLaVA-Video-R1';

const HUB_ID = /^([\w-][\w.-]*\/[\w-][\w.-]*)(?:@([\w.-]+))?$/;
const HUB_FOLDER = /^\/(?:.*\/)?[\w.-]+\/([\w.-]+)\/resolve\/[\w.-]+\/$/;

/**
 * The folder that a typed text names, as an absolute URL that ends in a slash; or why it cannot be one. `owner/name` or
 * `owner/name@revision` is a repository of the hub, and its page there stands for its files too; anything else is an
 * address. The page's policy lets it connect to https hosts, to this computer and to its own origin alone.
 * @param base Address of the page.
 * @param hub Address of the hub.
 */
export function modelUrl(
  typed: string,
  base: string,
  hub: string = DEFAULT_HUB,
): { url: string } | { problem: string } {
  const text = typed.trim();
  if (text === '')
    return { problem: 'Type a model’s name, owner/name, or the address of a folder with a config.json.' };
  const id = HUB_ID.exec(text);
  const checked = addressOf(id ? `${hub.replace(/\/+$/, '')}/${id[1]}` : text, base);
  if ('problem' in checked) return checked;
  const { url } = checked;
  const host = new URL(hub);
  const folder = host.pathname.replace(/\/+$/, '');
  if (url.host === host.host && url.pathname.startsWith(`${folder}/`)) {
    const rest = url.pathname.slice(folder.length);
    const repository = /^\/([\w.-]+\/[\w.-]+)(?:\/tree\/([\w.-]+))?\/?$/.exec(rest);
    if (repository && (id || url.host === new URL(DEFAULT_HUB).host))
      url.pathname = `${folder}/${repository[1]}/resolve/${id?.[2] ?? repository[2] ?? 'main'}/`;
  }
  if (url.pathname.endsWith('/config.json')) url.pathname = url.pathname.slice(0, -'config.json'.length);
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return { url: url.href };
}

/** The address of a hub that the user typed, without a slash at its end; or why it cannot be one. */
export function hubUrl(typed: string, base: string): { url: string } | { problem: string } {
  if (typed.trim() === '') return { url: DEFAULT_HUB };
  const checked = addressOf(typed.trim(), base);
  return 'problem' in checked ? checked : { url: checked.url.href.replace(/\/+$/, '') };
}

function addressOf(text: string, base: string): { url: URL } | { problem: string } {
  let url: URL;
  try {
    url = new URL(text, base);
  } catch {
    return { problem: 'This is not an address. It begins with https://.' };
  }
  const here = ['localhost', '127.0.0.1'].includes(url.hostname) && url.protocol === 'http:';
  if (url.protocol !== 'https:' && !here && url.origin !== new URL(base).origin)
    return { problem: 'Models are loaded over https, from this computer, or from this page’s own host.' };
  if (url.username || url.password)
    return { problem: 'Leave user names and passwords out: the address is remembered.' };
  url.hash = '';
  url.search = '';
  return { url };
}

/** A short name for a model at an address: the last part of its path that says something. */
export function modelName(url: string): string {
  const { hostname, pathname } = new URL(url);
  const repository = HUB_FOLDER.exec(pathname)?.[1];
  if (repository) return repository;
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

/** Whether an address is of the page's own host: what comes with the page is neither planned nor kept. */
export function isOwn(url: string): boolean {
  const { baseURI } = document;
  return new URL(url, baseURI).origin === new URL(baseURI).origin;
}
