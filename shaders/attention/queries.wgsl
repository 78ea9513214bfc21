// What the backward kernels over units share: their operands. Put behind units.wgsl.

@group(0) @binding(2) var<storage, read> q: array<Q4>;        // [rows, Hq, D]
@group(0) @binding(3) var<storage, read> k: array<K4>;        // [T, Hkv, D]
@group(0) @binding(4) var<storage, read> v: array<K4>;        // [T, Hkv, D]
@group(0) @binding(5) var<storage, read> d_o: array<Q4>;      // [rows, Hq, D]
@group(0) @binding(6) var<storage, read> stats: array<V4>;    // [rows, Hq]: max, ln sum, delta, 0
@group(0) @binding(7) var<storage, read_write> dq: array<Q4>; // [rows, Hq, D]
