/** Everything that measures, as one part that is loaded when it is asked for. */
export { benchAttention } from './bench-attention';
export { benchLinear } from './bench-linear';
