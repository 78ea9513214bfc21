import { ToyRng } from './rng';
import { colourAt, isVisible, objectPosition, type ToyObject, type ToyScene } from './scene';
import { TOY_COLOUR_RGB, TOY_FRAMES, TOY_SIZE, type ToyShape } from './vocabulary';

export interface ToyRenderOptions {
  /** Edge length of the square frames in pixels; 64 is what the model sees. */
  size?: number;
  /**
   * Rendered frames from one model frame to the next; 1 gives the 8 model frames, m gives 7 m + 1 frames,
   * of which `floor(linspace(0, 7 m, 8))` picks the 8 model frames again.
   */
  stepsPerFrame?: number;
  /** Factor on the scene's pixel noise. */
  noise?: number;
}

/**
 * Signed distance (pixels, negative inside) from the outline of a shape of half size r centred at the origin;
 * y points down. Close to the true distance near the outline, which is all that soft edges need.
 */
function shapeDistance(shape: ToyShape, x: number, y: number, r: number): number {
  const ax = Math.abs(x);
  const ay = Math.abs(y);
  if (shape === 'circle') return Math.sqrt(x * x + y * y) - r;
  if (shape === 'square') return Math.max(ax, ay) - 0.86 * r;
  if (shape === 'cross') {
    const w = 0.36 * r;
    return Math.min(Math.max(ax - w, ay - r), Math.max(ax - r, ay - w));
  }
  // Triangle: apex (0, -r), base from (-r, 0.8 r) to (r, 0.8 r); slopes normalised by |(1.8, 1)|.
  return Math.max(y - 0.8 * r, (1.8 * ax - y - r) / 2.0591260281974);
}

/** Renders a scene as RGB frames, `[frames][size * size * 3]` bytes, row-major. */
export function renderToyScene(scene: ToyScene, options: ToyRenderOptions = {}): Uint8Array[] {
  const { size = TOY_SIZE, stepsPerFrame = 1, noise = 1 } = options;
  if (!Number.isInteger(size) || size < 8)
    throw new Error(`Frame size ${size} is not an integer of 8 or more.`);
  if (!Number.isInteger(stepsPerFrame) || stepsPerFrame < 1) {
    throw new Error(`stepsPerFrame ${stepsPerFrame} is not an integer of 1 or more.`);
  }
  const rng = new ToyRng(scene.seed + 0x5eed0000);
  const frames: Uint8Array[] = [];
  const pixels = new Float32Array(size * size * 3);
  for (let k = 0; k <= (TOY_FRAMES - 1) * stepsPerFrame; k++) {
    const time = k / stepsPerFrame;
    paintBackground(pixels, scene, size, Math.floor(time));
    for (const object of scene.objects) if (isVisible(object, time)) paintObject(pixels, object, size, time);
    frames.push(finishFrame(pixels, scene.background.brightness, scene.background.noiseSigma * noise, rng));
  }
  return frames;
}

function paintBackground(pixels: Float32Array, scene: ToyScene, size: number, frame: number): void {
  const { rgb, gradient, flicker } = scene.background;
  const shift = flicker[frame] as [number, number, number];
  let i = 0;
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const g = gradient[0] * ((x + 0.5) / size - 0.5) + gradient[1] * ((y + 0.5) / size - 0.5);
      for (let c = 0; c < 3; c++) pixels[i++] = (rgb[c] as number) + (shift[c] as number) + g;
    }
  }
}

function paintObject(pixels: Float32Array, object: ToyObject, size: number, time: number): void {
  const scale = size / TOY_SIZE;
  const { x, y } = objectPosition(object, time);
  const colour = TOY_COLOUR_RGB[colourAt(object, time)];
  const reach = object.radius + object.edge + 1;
  const clamp = (v: number) => Math.min(size - 1, Math.max(0, Math.floor(v * scale)));
  for (let py = clamp(y - reach); py <= clamp(y + reach); py++) {
    for (let px = clamp(x - reach); px <= clamp(x + reach); px++) {
      const d = shapeDistance(object.shape, (px + 0.5) / scale - x, (py + 0.5) / scale - y, object.radius);
      const cover = Math.min(1, Math.max(0, 0.5 - d / object.edge));
      if (cover === 0) continue;
      const i = (py * size + px) * 3;
      for (let c = 0; c < 3; c++) {
        pixels[i + c] = (pixels[i + c] as number) * (1 - cover) + (colour[c] as number) * cover;
      }
    }
  }
}

/** Brightness, noise (sum of four uniform bytes: close to normal, integer arithmetic only) and rounding. */
function finishFrame(pixels: Float32Array, brightness: number, sigma: number, rng: ToyRng): Uint8Array {
  const out = new Uint8Array(pixels.length);
  const scale = sigma / 147.8; // standard deviation of a sum of four uniform bytes
  for (let i = 0; i < pixels.length; i++) {
    const u = rng.nextUint32();
    const sum = (u & 255) + ((u >>> 8) & 255) + ((u >>> 16) & 255) + (u >>> 24);
    const v = (pixels[i] as number) * brightness + (sum - 510) * scale;
    out[i] = v <= 0 ? 0 : v >= 255 ? 255 : Math.floor(v + 0.5);
  }
  return out;
}
