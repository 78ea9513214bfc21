const INDEX = 'model.safetensors.index.json';
const SINGLE = 'model.safetensors';
const PART = /^(.+)-(\d{5})-of-(\d{5})\.safetensors$/;

/** Larger files are no index and no config. */
const MAX_JSON_BYTES = 64 * 2 ** 20;

/** Letters of a name that a config.json gives. */
const MAX_NAME = 80;

/** Small files of a checkpoint; others are a model's where they are weights. */
const SMALL = [
  'config.json',
  'generation_config.json',
  'preprocessor_config.json',
  INDEX,
  'tokenizer.json',
  'tokenizer_config.json',
  'vocab.json',
  'merges.txt',
  'added_tokens.json',
  'special_tokens_map.json',
];

/** Whether a file is one of a checkpoint's, by its name. */
export function isModelFile({ name }: Pick<File, 'name'>): boolean {
  return SMALL.includes(name) || name.endsWith('.safetensors');
}

/** Files that were chosen before with those chosen now; of two with a name, the newer stays. */
export function withFiles(before: readonly File[], now: readonly File[]): File[] {
  const byName = new Map([...before, ...now].map((file) => [file.name, file]));
  return [...byName.values()];
}

/**
 * What a set of files lacks to be a checkpoint, by their names and by what its index lists; empty where it is whole.
 * Whether the files are what their names say is found when they are read.
 */
export async function missingFiles(files: readonly File[]): Promise<string[]> {
  const names = new Set(files.map(({ name }) => name));
  return [
    ...(names.has('config.json') ? [] : ['config.json']),
    ...missingTokenizer(names),
    ...(await missingWeights(files, names)),
  ];
}

function missingTokenizer(names: ReadonlySet<string>): string[] {
  if (names.has('tokenizer.json')) return [];
  const slow = ['vocab.json', 'merges.txt', 'tokenizer_config.json'];
  if (!names.has('vocab.json') && !names.has('merges.txt'))
    return ['tokenizer.json (or vocab.json, merges.txt and tokenizer_config.json)'];
  return slow.filter((name) => !names.has(name));
}

async function missingWeights(files: readonly File[], names: ReadonlySet<string>): Promise<string[]> {
  const weights = [...names].filter((name) => name.endsWith('.safetensors'));
  if (names.has(SINGLE)) return [];
  const index = files.find(({ name }) => name === INDEX);
  if (index) return (await listedFiles(index)).filter((name) => !names.has(name));
  const part = weights.map((name) => PART.exec(name)).find((found) => found !== null);
  if (part) {
    const [, stem, , count] = part as unknown as [string, string, string, string];
    // A count of many thousands is no checkpoint's; the index would say what there is.
    const parts = Array.from({ length: Math.min(Number(count), 999) }, (_, i) => {
      return `${stem}-${String(i + 1).padStart(5, '0')}-of-${count}.safetensors`;
    });
    return [INDEX, ...parts.filter((name) => !names.has(name))];
  }
  if (weights.length === 1) return [];
  return weights.length > 1 ? [INDEX] : [`${SINGLE} (or ${INDEX} and its parts)`];
}

/** The weight files that an index names; none where it is no index, which loading it says. */
async function listedFiles(index: File): Promise<string[]> {
  const { weight_map } = await fieldsOf(index);
  const listed = Object.values(weight_map ?? {}).filter((name) => typeof name === 'string');
  return [...new Set(listed)].sort();
}

/**
 * What files without a folder are called: as their config.json names the model, by the last part of its path. Their
 * kept copy has that name, and is found by it.
 */
export async function looseName(files: readonly File[]): Promise<string> {
  const config = files.find(({ name }) => name === 'config.json');
  const { _name_or_path: path } = config ? await fieldsOf(config) : {};
  const parts = typeof path === 'string' ? path.split(/[\\/]/) : [];
  return parts.findLast((part) => /[^.]/.test(part))?.slice(0, MAX_NAME) ?? 'the chosen files';
}

/** The fields of a JSON file; none where it is no object. */
async function fieldsOf(file: File): Promise<Record<string, unknown>> {
  if (file.size > MAX_JSON_BYTES) return {};
  try {
    return { ...JSON.parse(await file.text()) };
  } catch {
    return {};
  }
}
