// Gives the gpu-node project `navigator.gpu` from Dawn (npm `webgpu`).
import { installNodeGpu } from '../../scripts/node-gpu.mjs';

await installNodeGpu();
