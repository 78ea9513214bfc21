import type { GpuTensor } from '../gpu/tensor';
import type { Checkpoint, StoredTensor } from './checkpoint';
import { FLOAT_BYTES, type FloatDtype } from './widen';

/** Bytes read at once: small neighbours come in one read, large tensors in several. A multiple of 4. */
const CHUNK_BYTES = 4 * 2 ** 20;

/** A part of a tensor inside a read: bytes `[from, to)` of the file are elements `element..` of it. */
export interface Piece {
  name: string;
  tensor: GpuTensor;
  dtype: FloatDtype;
  from: number;
  to: number;
  element: number;
}

/** Bytes of a file that are read at once, and what they are of. */
export interface Read {
  source: StoredTensor['source'];
  start: number;
  end: number;
  pieces: Piece[];
}

/** Cuts the used tensors of every file into reads of at most CHUNK_BYTES, in file order. */
export function planReads(checkpoint: Checkpoint, tensors: ReadonlyMap<string, GpuTensor>): Read[] {
  const used = [...tensors].map(([name, tensor]) => ({
    name,
    tensor,
    stored: checkpoint.tensors.get(name)!,
  }));
  used.sort((a, b) => a.stored.start - b.stored.start);
  const reads: Read[] = [];
  for (const file of checkpoint.files) {
    let open: Read | undefined;
    for (const { name, tensor, stored } of used) {
      if (stored.source.name !== file) continue;
      const dtype = stored.dtype as FloatDtype;
      const chunk = chunkBytes(tensor, dtype);
      for (let from = stored.start; from < stored.end; from += chunk) {
        const to = Math.min(stored.end, from + chunk);
        const piece = { name, tensor, dtype, from, to, element: (from - stored.start) / FLOAT_BYTES[dtype] };
        if (open && open.end === from && to - open.start <= CHUNK_BYTES) {
          open.end = to;
          open.pieces.push(piece);
        } else {
          open = { source: stored.source, start: from, end: to, pieces: [piece] };
          reads.push(open);
        }
      }
    }
  }
  return reads;
}

/** Most bytes of a tensor in one read: what is converted comes in whole rows, 32 at a time. */
function chunkBytes(tensor: GpuTensor, dtype: FloatDtype): number {
  if (tensor.dtype === 'f32') return CHUNK_BYTES;
  const rows = 32 * tensor.shape.at(-1)! * FLOAT_BYTES[dtype];
  return Math.max(1, Math.floor(CHUNK_BYTES / rows)) * rows;
}
