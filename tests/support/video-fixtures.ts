// Kept out of `new URL(..., import.meta.url)`, which the bundler would rewrite.
const here = import.meta.url;
const inNode = typeof process !== 'undefined' && !!process.versions?.node;

/** Bytes of a clip under tests/fixtures/video/, in Node and in the browser. */
export async function videoBytes(name: string): Promise<Uint8Array<ArrayBuffer>> {
  const url = new URL(`../fixtures/video/${name}`, here);
  if (inNode) {
    const { readFile } = await import('node:fs/promises');
    return new Uint8Array(await readFile(url));
  }
  const response = await fetch(url);
  if (!response.ok || response.headers.get('content-type')?.startsWith('text/html'))
    throw new Error(`There is no tests/fixtures/video/${name}.`);
  return new Uint8Array(await response.arrayBuffer());
}

/** A clip of tests/fixtures/video/ as the user would choose it. */
export async function videoFixture(name: string): Promise<File> {
  return new File([await videoBytes(name)], name);
}
