import { filesSource } from '../../storage/kept-source';
import type { KeptModel } from '../../worker/model-protocol';
import { Icon } from '../shared/icon';
import { useDesk, useEngine, useModels, useServices } from '../store/app-services';
import type { ModelState as Model } from '../store/engine-state';
import { AddressForm } from './address-form';
import { chooseModel, chooseUrl, chosenOf, keptSource } from './choose-model';
import { FolderButton } from './folder-button';
import { KeptRow } from './kept-row';
import { LoosePicker } from './loose-picker';
import { ModelState, useRowModel } from './model-state';
import { type ChosenModel, chosenName } from './model-store';
import { keptPrecision, partsLine } from './plan-facts';
import { StorageBar } from './storage-bar';

/** All models that can be chosen, and the room that the kept ones take. */
export function ModelList() {
  const recent = useModels((models) => models.recent);
  const lastFolder = useModels((models) => models.lastFolder);
  const known = useDesk((desk) => desk.kept);
  const kept = known ?? [];
  const current = useEngine(({ model }) => model);
  const next = useEngine(({ nextModel }) => nextModel);
  // What answers and what is loaded, and the row of those that are kept.
  const loaded = [next, current]
    .filter((model): model is Model => model !== undefined && model.status !== 'idle')
    .map((model) => ({ model, row: kept.find((row) => isOf(row, model)) }));
  const addresses = recent.filter((url) => !kept.some(({ source }) => source === url));
  const loose = loaded
    .filter(({ row }) => !row)
    .map(({ model }) => chosenOf(model))
    .filter(({ kind }) => kind === 'folder' || kind === 'kept');
  return (
    <div className="model-list">
      <ul>
        <ModelRow model={{ kind: 'toy' }} note="4.6 MB, comes with the page, answers about moving shapes" />
        {kept.map((row) => (
          <KeptRow
            key={row.id}
            model={row}
            loaded={loaded.find((one) => one.row === row)?.model}
            twin={kept.some((other) => other !== row && looksLike(other, row))}
          />
        ))}
        {addresses.map((url) => (
          <ModelRow key={url} model={{ kind: 'url', url }} note={url} />
        ))}
        {loose.map((chosen) => (
          <ModelRow
            key={chosenName(chosen)}
            model={chosen}
            note={chosen.kind === 'folder' ? 'from this computer' : known ? 'not kept any more' : 'kept'}
          />
        ))}
        <ModelRow model={{ kind: 'recorded' }} note="about the sample clips; nothing is computed" />
      </ul>
      <div className="model-folder">
        <FolderButton className="model-row" testId="model-folder">
          <Icon name="folder" size={15} />
          <span className="med">Open a checkpoint folder</span>
          <span className="t3 sm model-note">
            {lastFolder &&
            !kept.some(({ source, complete }) => complete && source === filesSource(lastFolder))
              ? `“${lastFolder}” was open last. A page cannot keep files: choose it again`
              : 'safetensors files already on this computer; or drop the folder on the page'}
          </span>
        </FolderButton>
        <LoosePicker />
      </div>
      <AddressForm />
      <StorageBar />
    </div>
  );
}

function ModelRow({ model, note }: { model: ChosenModel; note: string }) {
  const services = useServices();
  const loaded = useRowModel((chosen) => sameModel(chosen, model));
  const inUse = loaded !== undefined && loaded.status !== 'failed';
  const planned = useDesk(({ plan }) => plan?.of.source.kind === 'url' && plan.of.source.url);
  const on = planned ? model.kind === 'url' && model.url === planned : loaded !== undefined;
  return (
    <li>
      <button
        type="button"
        className={`model-row ${on ? 'on' : ''}`}
        aria-current={loaded ? 'true' : undefined}
        disabled={inUse && !planned}
        onClick={() => {
          if (inUse) services.client.desk.closePlan();
          else if (model.kind === 'url') chooseUrl(services, model.url);
          else if (model.kind !== 'folder') chooseModel(services, model);
        }}
      >
        <ModelState model={loaded} />
        <span className="med ell">{chosenName(model)}</span>
        <span className="t3 sm model-note">{note}</span>
      </button>
    </li>
  );
}

/** Whether two rows read alike. */
function looksLike(one: KeptModel, other: KeptModel): boolean {
  return one.name === other.name && keptPrecision(one) === keptPrecision(other);
}

/** Whether a kept model is the one that is loaded: by its row, or from where it came, in the precision in use. */
function isOf(row: KeptModel, { source, name, info }: Model): boolean {
  if (source.kind === 'kept') return row.id === source.id;
  if (row.source !== keptSource(source, name)) return false;
  const line = partsLine(info?.precision ?? []);
  return line === '' || line === row.precision;
}

function sameModel(a: ChosenModel, b: ChosenModel): boolean {
  if (a.kind === 'url' && b.kind === 'url') return a.url === b.url;
  if (a.kind === 'folder' && b.kind === 'folder') return a.name === b.name;
  return a.kind === b.kind;
}
