import { useState } from 'react';
import type { ModelSource } from '../../worker/protocol';
import { formatBytes } from '../shared/format';
import { Icon } from '../shared/icon';
import { ProgressBar } from '../shared/progress-bar';
import { useDesk, useEngine, useServices } from '../store/app-services';
import { chosenOf } from './choose-model';
import { aboutTime, loadSpeed, secondsLeft } from './load-speed';
import { LoadingFiles } from './loading-files';
import { isOwn } from './model-url';
import { roomOf } from './plan-facts';
import { planAgain, replannedSource } from './replan';

/** The load under way: bytes, speed, time left, and its end. */
export function LoadingModel() {
  const services = useServices();
  const { client, view } = services;
  const next = useEngine((state) => state.nextModel);
  const current = useEngine((state) => state.model);
  const before = useEngine((state) => state.previousModel?.name);
  const samples = useDesk((desk) => desk.samples);
  const model = next ?? current;
  const chosen = chosenOf(model);
  const { progress } = model;
  // The engine ends what it is in the middle of first.
  const [stopped, setStopped] = useState<number>();
  const stopping = stopped === model.id;
  const stop = (discard: boolean) => {
    setStopped(model.id);
    client.desk.cancelLoad(discard);
  };
  const stoppable = chosen.kind !== 'toy' && chosen.kind !== 'recorded';
  const kept = useDesk((desk) => desk.kept);
  const replanned = replannedSource(model, kept);
  const nowhere = useDesk((desk) => roomOf(desk) === 'none');
  const speed = loadSpeed(samples);
  const left = secondsLeft(samples);
  const notKept = useDesk((desk) => (desk.notKept?.id === model.id ? desk.notKept.message : undefined));
  return (
    <section className="loading-model" aria-label="Model being loaded" data-testid="loading-model">
      <div className="row">
        <h3 className="title">{model.name}</h3>
        {replanned && (
          <button type="button" className="btn q sp" onClick={() => planAgain(services, model)}>
            Change precision
          </button>
        )}
      </div>
      {progress?.bytes ? (
        <>
          <div className="loading-figures">
            <p>
              <span className="big">{formatBytes(progress.done)}</span>
              <span className="t2"> of {formatBytes(progress.total)}</span>
            </p>
            <p>
              <span className="med">
                {left === undefined ? 'Measuring the speed' : `${aboutTime(left)} left`}
              </span>
              {speed !== undefined && <span className="t3 sm">{formatBytes(Math.round(speed))}/s now</span>}
            </p>
          </div>
          <ProgressBar progress={progress} fallback="Loading the weights" />
          {progress.files && <LoadingFiles files={progress.files} local={model.source.kind === 'files'} />}
        </>
      ) : (
        <ProgressBar progress={progress} fallback="Loading the model" />
      )}
      {notKept && (
        <p className="plan-reason sm warn" role="status">
          {notKept}
        </p>
      )}
      {stoppable && (
        <div className="plan-end">
          <p className="t2 sm">
            {whatStays(model.source, notKept !== undefined)}{' '}
            {next
              ? `${current.name} answers until it is there.`
              : before && `${before} is back where you stop.`}
          </p>
          {replanned && model.source.kind !== 'kept' && !nowhere && (
            <button type="button" className="btn q" onClick={() => stop(true)}>
              Cancel and delete
            </button>
          )}
          <button type="button" className="btn" onClick={() => stop(false)}>
            <Icon name="stop" size={14} />
            {stopping ? 'Stopping' : 'Stop'}
          </button>
          <button type="button" className="btn" onClick={() => view.setState({ dialog: undefined })}>
            {next ? `Keep asking ${inSentence(current.name)}` : 'Close, and load on'}
          </button>
        </div>
      )}
    </section>
  );
}

/** What a stop leaves of a load. */
function whatStays(source: ModelSource, notKept: boolean): string {
  if (source.kind === 'kept') return 'Its files are in this browser.';
  if (notKept) return 'Where you stop, what is not kept is loaded anew.';
  if (source.kind === 'files')
    return 'Stop: what was loaded is kept, and it goes on from there. Close this tab: it goes on once you choose the files again.';
  if (isOwn(source.url)) return 'It is not kept in this browser: where you stop, it begins anew.';
  return 'Stop, or close this tab: what was loaded is kept, and it goes on from there.';
}

/** A model's name inside of a sentence. */
function inSentence(name: string): string {
  return name === 'Toy model' ? 'the toy model' : name;
}
