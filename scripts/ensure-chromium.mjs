// Finds a Chromium for the tests, installs one where that is possible, and else says what to do.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { findChromium } from './find-chromium.mjs';

/**
 * Path of a Chromium: an installed one, else Playwright's download, else Debian's package (as root).
 * @throws Error with what to do, where none of these worked.
 */
export function ensureChromium() {
  const found = findChromium();
  if (found) return found;
  console.log('No Chromium found. Trying the download of Playwright.');
  run('npx', ['playwright', 'install', 'chromium'], 180_000);
  if (!findChromium() && process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    console.log("Trying Debian's package.");
    run('apt-get', ['update', '-qq'], 180_000);
    run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'chromium'], 600_000);
  }
  const installed = findChromium();
  if (installed) return installed;
  throw new Error(
    'The browser tests need Chromium and none could be installed. ' +
      'Install Chromium or Chrome, or set CHROMIUM_PATH to its executable, and run the tests again.',
  );
}

function run(command, args, timeout) {
  spawnSync(command, args, {
    stdio: 'inherit',
    timeout,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
}
