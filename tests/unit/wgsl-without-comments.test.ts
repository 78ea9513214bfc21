import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { withoutComments } from '../../scripts/wgsl-without-comments.mjs';
import { expandWgsl } from '../../src/gpu/expand-wgsl';

// The built page's shaders are without comments: what is made of them has to be what is made of the files.
describe('shaders of the built page', () => {
  const octet = readFileSync('shaders/linear/weight-octet.wgsl', 'utf8');
  const packed = readdirSync('shaders/linear').filter((name) => name.includes('packed'));
  const counts = { Q4: 1, Q8: 0, H16: 0, R: 2, C: 1, WIDE: 1, ANY: 0, FORWARD: 1, BACKWARD: 0 };
  const ways = { ALONE: 0, SUBGROUP: 0, BARRIER: 1 };

  it.each(packed)('%s behind weight-octet.wgsl', (name) => {
    const code = readFileSync(`shaders/linear/${name}`, 'utf8');
    const built = expandWgsl(withoutComments(octet) + withoutComments(code), { ...counts, ...ways });
    expect(built).toContain('fn main');
    expect(built).not.toContain('//');
    expect(withoutComments(built)).toBe(withoutComments(expandWgsl(octet + code, { ...counts, ...ways })));
  });
});
