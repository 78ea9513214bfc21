import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  // Relative, so that the built page runs under any path of any static host.
  base: './',
  plugins: [react()],
  worker: { format: 'es' },
  build: { target: 'es2023', assetsInlineLimit: 0, chunkSizeWarningLimit: 2000 },
  // ONNX Runtime resolves its wasm file relative to its own module: pre-bundling would break that.
  optimizeDeps: { exclude: ['onnxruntime-web'] },
});
