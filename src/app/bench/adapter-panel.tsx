import type { BenchDevice } from '../../worker/bench-protocol';
import { formatBytes } from '../shared/format';
import type { GpuState } from '../store/engine-state';
import { splitRate } from './bench-facts';

/** What the adapter says of itself. */
export function AdapterPanel({ gpu }: { gpu: GpuState | undefined }) {
  return (
    <section className="bench-section" aria-labelledby="adapter-title">
      <h3 id="adapter-title">Adapter</h3>
      {gpu ? (
        <dl className="pairs">
          {adapterLines(gpu).map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      ) : (
        <p className="t3 sm">Known once the GPU is open.</p>
      )}
    </section>
  );
}

function adapterLines({ adapter, f16, subgroups }: GpuState): [string, string][] {
  const { limits, subgroupMinSize: min, subgroupMaxSize: max } = adapter;
  const wide = min && max ? (min === max ? `${min} wide` : `${min} to ${max} wide`) : 'yes';
  return [
    ['vendor', adapter.vendor || 'not told'],
    ['architecture', adapter.architecture || 'not told'],
    ...(adapter.description ? [['description', adapter.description] as [string, string]] : []),
    ['kind', adapter.isFallback ? 'CPU, slow' : 'GPU'],
    ['largest buffer', formatBytes(limits.maxBufferSize)],
    ['largest binding', formatBytes(limits.maxStorageBufferBindingSize)],
    ['workgroup memory', formatBytes(limits.maxComputeWorkgroupStorageSize)],
    ['threads a workgroup', limits.maxComputeInvocationsPerWorkgroup.toLocaleString('en')],
    ['shader-f16', f16 ? 'yes' : 'no'],
    ['subgroups', subgroups ? wide : 'no'],
    ['timestamp queries', adapter.features.includes('timestamp-query') ? 'yes' : 'no'],
  ];
}

/** The two ceilings, measured before the kernels. */
export function CeilingPanel({ device }: { device: BenchDevice | undefined }) {
  return (
    <section className="bench-section" aria-labelledby="ceilings-title">
      <h3 id="ceilings-title">Ceilings, measured here</h3>
      <div className="ceilings">
        <Ceiling name="copy bandwidth" rate={device?.copy_gbps} what="B" />
        <Ceiling name="f32 arithmetic" rate={device?.f32_gflops} what="FLOP" />
        {device?.f16_gflops != null && <Ceiling name="f16 arithmetic" rate={device.f16_gflops} what="FLOP" />}
      </div>
    </section>
  );
}

function Ceiling({ name, rate, what }: { name: string; rate: number | undefined; what: 'B' | 'FLOP' }) {
  const split = rate === undefined ? undefined : splitRate(rate, what);
  return (
    <div>
      <span className="ceiling-value">
        {split?.value ?? '–'} <small className="t3">{split?.unit}</small>
      </span>
      <span className="xs t3">{name}</span>
    </div>
  );
}
