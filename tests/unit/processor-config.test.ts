import { describe, expect, it } from 'vitest';
import { parseProcessorConfig } from '../../src/model/processor-config';
import { SIGLIP_NORMALISATION } from '../../src/video/resize-reference';
import { goldenJson } from '../support/golden';

describe('parseProcessorConfig', () => {
  it("reads the recorded file, and takes SigLIP's values where there is none", async () => {
    const json = await goldenJson('checkpoint/preprocessor_config.json');
    expect(parseProcessorConfig(json, 60)).toEqual(SIGLIP_NORMALISATION);
    expect(parseProcessorConfig(undefined, 60)).toEqual(SIGLIP_NORMALISATION);
  });

  it('takes other numbers, and steps that are left out', () => {
    const json = {
      image_mean: [0.48, 0.45, 0.4],
      image_std: [0.26, 0.27, 0.28],
      rescale_factor: 0.5,
      size: 60,
    };
    const { size: _, ...numbers } = json;
    expect(parseProcessorConfig(json, 60)).toEqual(numbers);
    expect(parseProcessorConfig({ ...json, do_rescale: false, do_normalize: false }, 60)).toEqual({
      rescale_factor: 1,
      image_mean: [0, 0, 0],
      image_std: [1, 1, 1],
    });
  });

  it.each([
    [{ resample: 2 }, /preprocessor_config.json: resample is 2, and only 3 \(bicubic\)/],
    [{ size: { height: 60, width: 64 } }, /size is .*, and the vision tower takes 60 x 60/],
    [{ do_center_crop: true }, /do_center_crop is true/],
    [{ do_resize: false }, /do_resize is false/],
    [{ image_mean: [0.5, 0.5] }, /image_mean is \[0.5,0.5\], which is not a list of three numbers/],
    [{ image_std: [0.5, 0, 0.5] }, /image_std is .* three positive numbers/],
    [{ rescale_factor: '1/255' }, /rescale_factor is "1\/255"/],
    [[], /is not an object/],
  ])('refuses %j', (json, message) => {
    expect(() => parseProcessorConfig(json, 60)).toThrow(message);
  });
});
