import type { AdapterSummary } from '../gpu/device';

const DATABASE = 'tinyllava-adapters';
const STORE = 'adapters';

// Everything that makes a kernel: where one of them changes, what was found with the old ones does not count.
const SHADERS: Record<string, string> = import.meta.glob(
  [
    '../../shaders/attention/*.wgsl',
    '../../shaders/linear/*.wgsl',
    '../../shaders/sampling/*.wgsl',
    '../../shaders/training/*.wgsl',
  ],
  { query: '?raw', import: 'default', eager: true },
);

/** FNV-1a over texts, 32 bits, in hexadecimal. */
export function hashTexts(texts: Iterable<string>): string {
  let hash = 0x811c9dc5;
  for (const text of texts) {
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return (hash >>> 0).toString(16).padStart(8, '0');
}

/** What an adapter's findings are kept under: the adapter as far as a page sees it, and the kernels of this version. */
export function adapterKey(adapter: AdapterSummary, shaders: Record<string, string> = SHADERS): string {
  const { vendor, architecture, description, features, subgroupMinSize = 0, subgroupMaxSize = 0 } = adapter;
  const sizes = `${subgroupMinSize}-${subgroupMaxSize}`;
  return [
    vendor,
    architecture,
    description,
    sizes,
    hashTexts(features),
    hashTexts(Object.values(shaders)),
  ].join('|');
}

/**
 * What was found about an adapter at earlier visits: JSON values by name, in IndexedDB. Where that is closed to the page
 * (private windows), it lasts as long as the engine.
 */
export class AdapterMemory {
  private constructor(
    private readonly key: string,
    private readonly database: IDBDatabase | undefined,
    private readonly values: Record<string, unknown>,
  ) {}

  /** Reads what is known of an adapter. Never throws. */
  static async open(adapter: AdapterSummary): Promise<AdapterMemory> {
    const key = adapterKey(adapter);
    const database = await openDatabase().catch(() => undefined);
    const known = database && (await read(database, key).catch(() => undefined));
    const values = typeof known === 'object' && known !== null ? { ...known } : {};
    return new AdapterMemory(key, database, values);
  }

  /** What was kept under a name; its shape is whatever an earlier visit wrote. */
  get(name: string): unknown {
    return this.values[name];
  }

  /** Keeps a value; written behind. */
  set(name: string, value: unknown): void {
    this.values[name] = value;
    try {
      const store = this.database?.transaction(STORE, 'readwrite').objectStore(STORE);
      const found = store?.get(this.key);
      // Another one may have kept other values meanwhile.
      found?.addEventListener('success', () => store?.put({ ...found.result, [name]: value }, this.key));
    } catch {
      // It is measured again at the next visit.
    }
  }

  /** Lets the database go. */
  close(): void {
    this.database?.close();
  }
}

function openDatabase(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error('The database is in use by another version of the page.'));
  });
}

function read(database: IDBDatabase, key: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const request = database.transaction(STORE).objectStore(STORE).get(key);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
