import { visibleToken } from '../shared/format';
import { useView } from '../store/app-services';
import type { SampleState } from '../store/engine-state';
import { EntropyCanvas, spokenEntropy } from './entropy-canvas';
import { useActions } from './use-actions';

const SIZE = { bars: 108, numbers: 18 };

/** Entropy of every token as bars, aha sentences tinted. A click pins a token. */
export function EntropyStrip({ sample }: { sample: SampleState }) {
  const pinned = useView((view) => view.pinned);
  const { pin } = useActions();
  return (
    <div className="ent">
      <div className="row">
        <h3 className="h">Entropy per token</h3>
        <span className="sp row xs t3 legend">
          <span className="row">
            <i className="swatch plain" />
            plain
          </span>
          <span className="row">
            <i className="swatch aha" />
            aha sentence
          </span>
        </span>
      </div>
      <EntropyCanvas
        sample={sample}
        size={SIZE}
        label={spokenEntropy(sample, visibleToken)}
        pinned={pinned}
        onPick={pin}
      />
    </div>
  );
}
