import type { ReactNode } from 'react';
import { describeAdapter, formatBytes, formatCount } from '../shared/format';
import { ErrorMessage } from '../shared/message';
import { useDesk, useEngine, useServices } from '../store/app-services';
import { ModelErrors } from './model-errors';
import { isGone, planAgain, replanHint, replannedSource } from './replan';

/** What is known of the model in use: its size, what it reads of a video, what runs it. */
export function ModelDetails() {
  const model = useEngine((state) => state.model);
  const gpu = useEngine((state) => state.gpu);
  const memory = useEngine((state) => state.memory);
  const notKept = useDesk((desk) => (desk.notKept?.id === model.id ? desk.notKept.message : undefined));
  const services = useServices();
  const kept = useDesk((desk) => desk.kept);
  const hint = replanHint(model, kept);
  const { info, recorded } = model;
  return (
    <section className="model-details" aria-label="Model in use" data-testid="model-details">
      <h3 className="title">{model.name}</h3>
      <p className="t2 sm">
        {recorded
          ? `Answers of ${info?.name ?? 'a model'} about the sample clips, recorded earlier and played again. Nothing is computed here.`
          : model.source.kind === 'files'
            ? 'From files on this computer. Nothing is uploaded.'
            : model.source.kind === 'kept'
              ? isGone(model, kept)
                ? 'Loaded from this browser, where it is not kept any more.'
                : 'Kept in this browser: nothing was downloaded.'
              : 'SigLIP vision encoder, video resampler, Qwen2.5 language model.'}
      </p>
      {info && (
        <dl className="model-facts">
          <Fact label="parameters">{formatCount(info.parameters)}</Fact>
          <Fact label={recorded ? 'weights, when recorded' : 'weights on the GPU'}>
            {formatBytes(info.weightBytes)}
          </Fact>
          <Fact label="frames of a video">{info.frames}</Fact>
          <Fact label="visual tokens">{info.visualTokens}</Fact>
          <Fact label="frame size">
            {info.imageSize} × {info.imageSize}
          </Fact>
          <Fact label="dense layers run by">{backendName(info.backend)}</Fact>
        </dl>
      )}
      {info?.precision && <ModelErrors parts={info.precision} />}
      {info && replannedSource(model, kept) && (
        <div>
          <button type="button" className="btn" onClick={() => planAgain(services, model)}>
            Change precision
          </button>
        </div>
      )}
      {info && hint && <p className="t2 sm">{hint}</p>}
      {gpu && !recorded && (
        <p className="t3 sm">
          On {describeAdapter(gpu)}. One buffer may have {formatBytes(gpu.adapter.limits.maxBufferSize)}, as
          the adapter says.
          {memory &&
            ` In use: ${formatBytes(memory.bytes)}, at most so far ${formatBytes(memory.peakBytes)}.`}
        </p>
      )}
      {notKept && (
        <ErrorMessage
          error={{ code: 'not-kept', title: 'Not kept in this browser.', message: notKept }}
          icon="info"
          tone="warn"
          testId="not-kept"
        />
      )}
    </section>
  );
}

function Fact({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function backendName(backend: string): string {
  return backend.replace('ort', 'ONNX Runtime').replace('wgsl', 'own kernels').replace(' + ', ', ');
}
