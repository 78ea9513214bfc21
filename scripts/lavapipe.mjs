// `npm run test:lavapipe [-- FILE ...]`: a small subset of the GPU tests in Node on Mesa's lavapipe, a CPU adapter with
// `shader-f16` and 8-wide subgroups. Runs on the driver that VK_DRIVER_FILES names, else on the system's where that
// is Mesa 25 or newer (Dawn refuses Debian 12's own 22.3), else on one unpacked from Debian's backports.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

// What other adapters at hand cannot run, f16 first of all, and what depends on the width of a subgroup.
const SUBSET = [
  'recorder',
  'rotary',
  'sampler',
  'attention',
  'attention-backward',
  'attention-outliers',
  'half-activations',
  'self-test',
  'dense',
  'quantised',
].map((name) => `tests/gpu/${name}.test.ts`);

// Its first compilation of a large pipeline can take minutes, so each family of kernels comes once, in f16 where it has
// that: attention forward (a prompt, a shared prefix; tiles with 8-wide shuffles) and backward, dense layers, packed
// weights, norms and activations (all three in the dense and outlier cases), rotary embedding, sampler; a model's answers.
const CASES = [
  'gpu room',
  'rotary embedding',
  'sampler.*(finished rows|extreme logits|published vocabulary|subgroups)',
  'of a CPU.*in f16',
  '^wgsl f16 weights',
  'activations in f16 wgsl, ',
  'values of (prefix1|gqa8_d32_q7)$',
  'recorded gradients with everything in f16',
  'small heads in f16',
  'outliers',
  'answers with activations in f16',
  'what is stored in f16',
].join('|');
const TIMEOUT_MS = 1_800_000;

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CACHE = join(ROOT, 'node_modules/.cache/lavapipe');
const ICD = join(CACHE, 'lvp_icd.json');
const LIBRARIES = join(CACHE, 'root/usr/lib/x86_64-linux-gnu');
const SUITE = 'bookworm-backports';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

const driver = process.env.VK_DRIVER_FILES ?? systemDriver() ?? fetchDriver();
console.log(`Vulkan driver: ${driver}`);
const files = process.argv.slice(2);
const { status } = spawnSync(
  'npx',
  [
    ...['vitest', 'run', '--project', 'gpu-node', `--testTimeout=${TIMEOUT_MS}`],
    ...(files.length > 0 ? files : [...SUBSET, '-t', CASES]),
  ],
  { cwd: ROOT, stdio: 'inherit', env: { XDG_RUNTIME_DIR: CACHE, ...process.env, VK_DRIVER_FILES: driver } },
);
process.exit(status ?? 1);

/** The installed lavapipe's driver file, where it is new enough. */
function systemDriver() {
  const { output } = run('dpkg-query', ['-s', 'mesa-vulkan-drivers']);
  if (!(Number(/^Version: (?:\d+:)?(\d+)/m.exec(output)?.[1]) >= 25)) return undefined;
  const folder = '/usr/share/vulkan/icd.d';
  const name = existsSync(folder) && readdirSync(folder).find((file) => file.startsWith('lvp_icd'));
  return name ? join(folder, name) : undefined;
}

/** Unpacks Debian's backport once, without installing it; returns its driver file. */
function fetchDriver() {
  if (existsSync(ICD)) return ICD;
  if (!existsSync(KEYRING) || process.arch !== 'x64') {
    fail(
      'Mesa 25 or newer is not installed, and it can only be fetched here on Debian or Ubuntu (x86-64). ' +
        'Install it and name its lvp_icd.json in VK_DRIVER_FILES, then run this again.',
    );
  }
  // A state of its own, so that the system's package lists stay as they are.
  for (const folder of ['lists/partial', 'archives/partial', 'debs'])
    mkdirSync(join(CACHE, folder), { recursive: true });
  writeFileSync(
    join(CACHE, 'sources.list'),
    `deb [signed-by=${KEYRING}] http://deb.debian.org/debian ${SUITE} main\n`,
  );
  const options = [
    `-oDir::State::Lists=${CACHE}/lists`,
    `-oDir::Etc::SourceList=${CACHE}/sources.list`,
    '-oDir::Etc::SourceParts=/dev/null',
    `-oDir::Cache=${CACHE}`,
    ...(process.getuid?.() === 0 ? ['-oAPT::Sandbox::User=root'] : []),
  ];
  need('apt-get', [...options, 'update', '-qq']);
  const packages = ['mesa-vulkan-drivers', 'libdrm2'].map((name) => `${name}/${SUITE}`);
  need('apt-get', [...options, 'download', '-qq', ...packages], join(CACHE, 'debs'));
  for (const deb of readdirSync(join(CACHE, 'debs')))
    need('dpkg', ['-x', join(CACHE, 'debs', deb), join(CACHE, 'root')]);
  const library = join(LIBRARIES, 'libvulkan_lvp.so');
  const missing = run('ldd', [library]).output.match(/\S+(?= => not found)/g) ?? [];
  if (missing.length > 0)
    fail(`lavapipe also needs ${missing.join(', ')}: install what has them (libllvm15, say).`);
  const icd = JSON.parse(readFileSync(join(CACHE, 'root/usr/share/vulkan/icd.d/lvp_icd.json'), 'utf8'));
  icd.ICD.library_path = library;
  writeFileSync(ICD, JSON.stringify(icd));
  return ICD;
}

function run(command, args, cwd = ROOT) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  return { ok: status === 0, output: stdout ?? '', error: stderr ?? '' };
}

function need(command, args, cwd) {
  const { ok, error } = run(command, args, cwd);
  if (!ok) fail(`Mesa's lavapipe could not be fetched: ${command} ${args.at(-1)} failed.\n${error}`);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
