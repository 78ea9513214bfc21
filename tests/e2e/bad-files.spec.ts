import { readFileSync } from 'node:fs';
import { expect, type Page } from '@playwright/test';
import { type BoxNode, findBox, parseBoxes, writeBoxes } from '../support/mp4-tree';
import { test } from './ask-page';

// Files that are damaged or no videos, on the built page with its real engine: a sentence each, nothing is lost, and
// the next good file works.
const QUESTION = 'Which object moves?';

const fixture = (name: string) => new Uint8Array(readFileSync(`tests/fixtures/video/${name}`));

/** faststart.mp4 with other boxes. */
function changed(change: (boxes: BoxNode[]) => void): Uint8Array {
  const boxes = parseBoxes(fixture('faststart.mp4'));
  change(boxes);
  return writeBoxes(boxes);
}

/** faststart.mp4, with the part of its media data from `from` to `to` (0 to 1) overwritten. */
const spoilt = (from: number, to: number) =>
  changed((boxes) => {
    const { payload } = findBox(boxes, 'mdat');
    payload.fill(0xff, Math.floor(payload.length * from), Math.floor(payload.length * to));
  });

interface BadFile {
  name: string;
  bytes: Uint8Array;
  says: RegExp;
}

const NOT_OPENED: Record<string, BadFile> = {
  'a text file that is named like a video': {
    name: 'notes.mp4',
    bytes: Buffer.from('These are my notes, and no video at all. '.repeat(50)),
    says: /not a video\. ?notes\.mp4 is not a video that can be read here\. Choose/,
  },
  'an empty file': {
    name: 'nothing.mp4',
    bytes: new Uint8Array(0),
    says: /nothing\.mp4 is empty \(0 bytes\)\. Choose the file again/,
  },
  'a file that was cut off before its tables': {
    name: 'cut.mp4',
    bytes: fixture('moov-last.mp4').subarray(0, 1900),
    says: /cut\.mp4 is cut off before its table of frames.*Get the file again/,
  },
  'damaged tables': {
    name: 'tables.mp4',
    bytes: changed((boxes) => findBox(boxes, 'stco').payload.fill(0xee, 4)),
    says: /tables\.mp4 is damaged: its table of frames cannot be read\. Get the file again/,
  },
  'sound without pictures': {
    name: 'song.mp4',
    bytes: fixture('sound-only.mp4'),
    says: /song\.mp4 holds no video track, only sound\. Choose another video/,
  },
  'pictures without a size': {
    name: 'flat.mp4',
    bytes: changed((boxes) => findBox(boxes, 'avc1').payload.fill(0, 24, 28)),
    says: /flat\.mp4 is damaged: it says that its pictures are 0 x 0 pixels/,
  },
};

const NOT_DECODED: Record<string, BadFile> = {
  'a codec that this browser cannot decode': {
    name: 'phone.mp4',
    bytes: fixture('hevc.mp4'),
    says: /no decoder for HEVC \(hvc1\..*Convert the file to H\.264/,
  },
  'pictures that no decoder takes': {
    name: 'wall.mp4',
    bytes: changed((boxes) => findBox(boxes, 'avc1').payload.fill(255, 24, 28)),
    says: /wall\.mp4 has pictures of 65535 x 65535 pixels.*Scale the video down/,
  },
  'frames that cannot be decoded': {
    name: 'noise.mp4',
    bytes: spoilt(0, 1),
    says: /noise\.mp4 cannot be decoded at 0\.0 s: the video data there is damaged\. Play it elsewhere/,
  },
};

const TIMELESS = {
  name: 'timeless.mp4',
  bytes: changed((boxes) => {
    for (const [type, at] of [
      ['stts', 12], // the duration of every frame
      ['mdhd', 16],
      ['mvhd', 16],
      ['tkhd', 20],
      ['elst', 8],
    ] as const)
      findBox(boxes, type).payload.fill(0, at, at + 4);
  }),
};

async function choose(page: Page, name: string, bytes: Uint8Array): Promise<void> {
  const buffer = Buffer.from(bytes);
  await page.getByTestId('video-input').setInputFiles({ name, mimeType: 'video/mp4', buffer });
}

test.describe('Bad files', () => {
  test.describe.configure({ mode: 'serial' });
  let page: Page;
  /** The last good file. */
  let open = '';

  test.beforeAll(async ({ askPage }) => {
    page = askPage.page;
    await page.getByTestId('question').fill(QUESTION);
    await chooseGood('good.mp4', readFileSync('public/samples/colour-change.mp4'));
  });

  test.afterEach(async () => {
    await expect(page.getByTestId('question')).toHaveValue(QUESTION);
  });

  /** Chooses a file that can be asked about, after a bad one. */
  async function chooseGood(name: string, bytes: Uint8Array): Promise<void> {
    await choose(page, name, bytes);
    await expect(page.getByTestId('error')).toHaveCount(0);
    await expect(page.getByTestId('ask')).toBeEnabled({ timeout: 120_000 });
    await expect(page.getByTestId('frame-strip').getByRole('button')).toHaveCount(8);
    open = name;
  }

  function refuses(files: Record<string, BadFile>): void {
    for (const [title, { name, bytes, says }] of Object.entries(files)) {
      test(title, async () => {
        await choose(page, name, bytes);
        await expect(page.getByTestId('error')).toContainText(says);
        // The video before stays, and can be asked about.
        await expect(page.getByTestId('error')).toContainText(`${open} stays open.`);
        await expect(page.getByTestId('ask')).toBeEnabled();
        await expect(page.getByTestId('frame-strip').getByRole('button')).toHaveCount(8);
      });
    }
  }

  refuses(NOT_OPENED);

  test('one frame is enough', async () => {
    await chooseGood('still.mp4', fixture('one-frame.mp4'));
    await expect(page.getByTestId('warning')).toHaveCount(0);
    await expect(page.locator('.scrub i')).toHaveCount(1);
  });

  test('a track that lasts no time is shown and read', async () => {
    const { name, bytes } = TIMELESS;
    await chooseGood(name, bytes);
    await expect(page.getByTestId('warning')).toHaveCount(0);
  });

  refuses(NOT_DECODED);

  test('a stretch in the middle that cannot be decoded is left out', async () => {
    await chooseGood('glitch.mp4', spoilt(0.65, 0.7));
    await expect(page.locator('.scrub i')).toHaveCount(8);
    await expect(page.getByTestId('warning')).toContainText(
      /The video is damaged: \d\.\d s of it, from \d\.\d s on, cannot be decoded\. Frames are taken from the rest\./,
    );
  });

  test('a file that stops early is read as far as it goes', async () => {
    const whole = readFileSync('public/samples/one-moves.mp4');
    await chooseGood('short.mp4', whole.subarray(0, Math.floor(whole.length * 0.7)));
    await expect(page.getByText(/stops early/i)).toBeVisible();
  });
});
