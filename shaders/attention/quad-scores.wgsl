// Part of the backward kernels of quads: the scores of half of the rows with half of the keys, and the gradients of their
// probabilities. Of each pair of rows (q, do) and of keys (k, v) two neighbours load one each and swap. Given: at$i_0
// (heads of q where the own rows begin) and kv$j (vec4s of k where the own keys begin). In s$i_$j and dp$i_$j: own row
// with own and other key, other row with own and other key.
#for i in ROW_PAIRS
#for j in KEY_PAIRS
      var s$i_$j = V4(0.0);
      var dp$i_$j = V4(0.0);
#end
#end
      for (var c = 0u; c < C; c++) {
#for j in KEY_PAIRS
        let k$j_0 = V4(k[kv$j + c]);
        let k$j_1 = quadSwapY(k$j_0);
        let v$j_0 = V4(v[kv$j + c]);
        let v$j_1 = quadSwapY(v$j_0);
#end
#for i in ROW_PAIRS
        let q$i_0 = V4(q[at$i_0 * C + c]);
        let q$i_1 = quadSwapX(q$i_0);
        let do$i_0 = V4(d_o[at$i_0 * C + c]);
        let do$i_1 = quadSwapX(do$i_0);
#for j in KEY_PAIRS
        s$i_$j += V4(dot(q$i_0, k$j_0), dot(q$i_0, k$j_1), dot(q$i_1, k$j_0), dot(q$i_1, k$j_1));
        dp$i_$j += V4(dot(do$i_0, v$j_0), dot(do$i_0, v$j_1), dot(do$i_1, v$j_0), dot(do$i_1, v$j_1));
#end
#end
      }
