import type { KeptModel } from '../../worker/model-protocol';
import { Icon } from '../shared/icon';
import { useDesk, useEngine, useModels, useServices } from '../store/app-services';
import { AddressForm } from './address-form';
import { chooseModel, chooseUrl } from './choose-model';
import { FolderButton } from './folder-button';
import { KeptRow } from './kept-row';
import { ModelState } from './model-state';
import { type ChosenModel, chosenName } from './model-store';
import { precisionLine } from './plan-facts';
import { StorageBar } from './storage-bar';

/** All models that can be chosen, and the room that the kept ones take. */
export function ModelList() {
  const recent = useModels((models) => models.recent);
  const lastFolder = useModels((models) => models.lastFolder);
  const chosen = useModels((models) => models.chosen);
  const kept = useDesk((desk) => desk.kept) ?? [];
  const line = useEngine(({ model }) => precisionLine(model.info?.precision ?? []));
  const inUse = kept.find((model) => isChosen(model, chosen, line));
  const addresses = recent.filter((url) => !kept.some(({ source }) => source === url));
  const loose = !inUse && (chosen.kind === 'folder' || chosen.kind === 'kept');
  return (
    <div className="model-list">
      <ul>
        <ModelRow model={{ kind: 'toy' }} note="4.6 MB, comes with the page, answers about moving shapes" />
        {kept.map((model) => (
          <KeptRow key={model.id} model={model} inUse={model === inUse} />
        ))}
        {addresses.map((url) => (
          <ModelRow key={url} model={{ kind: 'url', url }} note={url} />
        ))}
        {loose && <ModelRow model={chosen} note={chosen.kind === 'folder' ? 'from this computer' : 'kept'} />}
        <ModelRow model={{ kind: 'recorded' }} note="about the sample clips; nothing is computed" />
      </ul>
      <div className="model-folder">
        <FolderButton className="model-row" testId="model-folder">
          <Icon name="folder" size={15} />
          <span className="med">Open a checkpoint folder</span>
          <span className="t3 sm model-note">
            {lastFolder && chosen.kind !== 'folder'
              ? `“${lastFolder}” was open last. A page cannot keep files: choose it again`
              : 'safetensors files already on this computer; or drop the folder on the page'}
          </span>
        </FolderButton>
      </div>
      <AddressForm />
      <StorageBar />
    </div>
  );
}

function ModelRow({ model, note }: { model: ChosenModel; note: string }) {
  const services = useServices();
  const inUse = useModels(({ chosen }) => sameModel(chosen, model));
  const planned = useDesk(({ plan }) => plan?.of.source.kind === 'url' && plan.of.source.url);
  const on = planned ? model.kind === 'url' && model.url === planned : inUse;
  return (
    <li>
      <button
        type="button"
        className={`model-row ${on ? 'on' : ''}`}
        aria-current={inUse ? 'true' : undefined}
        disabled={inUse && !planned}
        onClick={() => {
          if (inUse) services.client.desk.closePlan();
          else if (model.kind === 'url') chooseUrl(services, model.url);
          else if (model.kind !== 'folder') chooseModel(services, model);
        }}
      >
        <ModelState inUse={inUse} />
        <span className="med ell">{chosenName(model)}</span>
        <span className="t3 sm model-note">{note}</span>
      </button>
    </li>
  );
}

/** Whether a kept model is the one that was chosen: by its row, or from where it came. `line` is the precision in use. */
function isChosen(model: KeptModel, chosen: ChosenModel, line: string): boolean {
  if (chosen.kind === 'kept') return model.id === chosen.id;
  if (chosen.kind !== 'url' || model.source !== chosen.url) return false;
  return line === '' || line === model.precision;
}

function sameModel(a: ChosenModel, b: ChosenModel): boolean {
  if (a.kind === 'url' && b.kind === 'url') return a.url === b.url;
  if (a.kind === 'folder' && b.kind === 'folder') return a.name === b.name;
  return a.kind === b.kind;
}
