import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  HELD_OUT_SEED_START,
  makeToyClip,
  renderToyFrames,
  TOY_COLOUR_RGB,
  TOY_FRAMES,
  TOY_SIZE,
} from '../../src/data/toy/index';
import {
  colourAt,
  isVisible,
  makeToyScene,
  objectPosition,
  TOY_MIN_DISTANCE,
} from '../../src/data/toy/scene';

const digest = (parts: Uint8Array[]) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex').slice(0, 16);
};
const scenes = Array.from({ length: 400 }, (_, i) => makeToyScene(HELD_OUT_SEED_START + i));

describe('toy scenes', () => {
  it('are the same for the same seed, and differ between seeds', () => {
    expect(makeToyScene(77)).toEqual(makeToyScene(77));
    expect(makeToyScene(77)).not.toEqual({ ...makeToyScene(78), seed: 77 });
  });

  it('render to recorded bytes on every platform', () => {
    expect(digest(makeToyClip(0).frames)).toBe('f57db7ced01a203b');
    expect(digest(makeToyClip(HELD_OUT_SEED_START).frames)).toBe('f2330a5eb0fc5156');
  });

  it('keep objects apart, of different colours and shapes, inside of the frame', () => {
    let [margin, distance] = [99, 99];
    for (const { objects, seed } of scenes) {
      expect(new Set(objects.map((o) => o.shape)).size, `seed ${seed}`).toBe(objects.length);
      for (let t = 0; t < TOY_FRAMES; t++) {
        expect(new Set(objects.map((o) => colourAt(o, t))).size, `seed ${seed}`).toBe(objects.length);
        const at = objects.map((o) => objectPosition(o, t));
        for (const [i, p] of at.entries()) {
          margin = Math.min(margin, p.x, p.y, TOY_SIZE - p.x, TOY_SIZE - p.y);
          for (const q of at.slice(0, i)) distance = Math.min(distance, Math.hypot(p.x - q.x, p.y - q.y));
        }
      }
    }
    expect(margin).toBeGreaterThanOrEqual(9);
    expect(distance).toBeGreaterThanOrEqual(TOY_MIN_DISTANCE);
  });

  it('cover every scenario and one to three objects', () => {
    expect(new Set(scenes.map((s) => s.scenario)).size).toBe(5);
    expect(new Set(scenes.map((s) => s.objects.length))).toEqual(new Set([1, 2, 3]));
  });
});

describe('toy frames', () => {
  it('show each object in its colour where and when the scene says', () => {
    for (const scene of scenes.slice(0, 40)) {
      const { brightness, noiseSigma } = scene.background;
      const frames = renderToyFrames(scene, { noise: 0 });
      expect(frames).toHaveLength(TOY_FRAMES);
      frames.forEach((frame, t) => {
        for (const object of scene.objects) {
          const { x, y } = objectPosition(object, t);
          const i = (Math.floor(y) * TOY_SIZE + Math.floor(x)) * 3;
          const want = TOY_COLOUR_RGB[colourAt(object, t)].map((v) => Math.min(255, v * brightness));
          const error = Math.max(...want.map((v, c) => Math.abs(v - (frame[i + c] as number))));
          if (isVisible(object, t)) expect(error, `seed ${scene.seed} frame ${t}`).toBeLessThan(1);
          else expect(error, `seed ${scene.seed} frame ${t}`).toBeGreaterThan(30);
        }
      });
      expect(noiseSigma).toBeGreaterThanOrEqual(2);
    }
  });

  it('have about the noise that the scene asks for', () => {
    const scene = scenes[3]!;
    const [noisy, clean] = [renderToyFrames(scene), renderToyFrames(scene, { noise: 0 })];
    let sum = 0;
    for (let i = 0; i < clean[0]!.length; i++) sum += (noisy[0]![i]! - clean[0]![i]!) ** 2;
    const sigma = Math.sqrt(sum / clean[0]!.length);
    expect(sigma / scene.background.noiseSigma).toBeGreaterThan(0.9);
    expect(sigma / scene.background.noiseSigma).toBeLessThan(1.1);
  });

  it('agree with a larger rendering averaged down', () => {
    const scene = scenes[5]!;
    const small = renderToyFrames(scene, { noise: 0 })[4]!;
    const large = renderToyFrames(scene, { noise: 0, size: 256 })[4]!;
    let total = 0;
    for (let y = 0; y < 64; y++) {
      for (let x = 0; x < 64; x++) {
        let sum = 0;
        for (let k = 0; k < 16; k++) sum += large[((4 * y + (k >> 2)) * 256 + 4 * x + (k & 3)) * 3]!;
        total += Math.abs(sum / 16 - small[(y * 64 + x) * 3]!);
      }
    }
    expect(total / 4096).toBeLessThan(1);
  });

  it('in between fall on the model frames at every m-th step', () => {
    const scene = scenes[7]!;
    const steps = renderToyFrames(scene, { noise: 0, stepsPerFrame: 3 });
    expect(steps).toHaveLength(22);
    const indices = Array.from({ length: 8 }, (_, i) => Math.floor((i * 21) / 7));
    expect(digest(indices.map((i) => steps[i]!))).toBe(digest(renderToyFrames(scene, { noise: 0 })));
  });

  it('reject sizes and steps that cannot be rendered', () => {
    expect(() => renderToyFrames(scenes[0]!, { size: 0 })).toThrow('Frame size');
    expect(() => renderToyFrames(scenes[0]!, { stepsPerFrame: 0.5 })).toThrow('stepsPerFrame');
  });
});
