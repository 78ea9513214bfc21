import { useId, useRef, useState } from 'react';
import { EngineErrors } from '../ask/engine-errors';
import { Dialog } from '../shared/dialog';
import { Icon } from '../shared/icon';
import { useModels, useServices } from '../store/app-services';
import { chooseFolder, chooseModel } from './choose-model';
import { pickedFolder } from './folder-files';
import { ModelDetails } from './model-details';
import { ModelState } from './model-state';
import { type ChosenModel, chosenName } from './model-store';
import { DEFAULT_HUB, hubUrl, modelUrl } from './model-url';

/** The models to choose from, and what is known of the one in use. */
export function ModelDialog() {
  return (
    <Dialog name="models" title="Models" className="wide models">
      <div className="models-columns">
        <ModelList />
        <div className="model-side">
          <ModelDetails />
          <EngineErrors scopes={['gpu', 'model']} />
        </div>
      </div>
    </Dialog>
  );
}

function ModelList() {
  const recent = useModels((models) => models.recent);
  const lastFolder = useModels((models) => models.lastFolder);
  const chosen = useModels((models) => models.chosen);
  return (
    <div className="model-list">
      <ul>
        <ModelRow model={{ kind: 'toy' }} note="4.6 MB, comes with the page, answers about moving shapes" />
        {recent.map((url) => (
          <ModelRow key={url} model={{ kind: 'url', url }} note={url} />
        ))}
        {chosen.kind === 'folder' && <ModelRow model={chosen} note="from this computer" />}
        <ModelRow model={{ kind: 'recorded' }} note="about the sample clips; nothing is computed" />
      </ul>
      <FolderPicker lastFolder={chosen.kind === 'folder' ? undefined : lastFolder} />
      <UrlForm />
      <HubField />
    </div>
  );
}

function ModelRow({ model, note }: { model: ChosenModel; note: string }) {
  const services = useServices();
  const inUse = useModels(({ chosen }) => sameModel(chosen, model));
  return (
    <li>
      <button
        type="button"
        className={`model-row ${inUse ? 'on' : ''}`}
        aria-current={inUse ? 'true' : undefined}
        disabled={inUse}
        onClick={() => model.kind !== 'folder' && chooseModel(services, model)}
      >
        <ModelState inUse={inUse} />
        <span className="med ell">{chosenName(model)}</span>
        <span className="t3 sm model-note">{note}</span>
      </button>
    </li>
  );
}

function FolderPicker({ lastFolder }: { lastFolder: string | undefined }) {
  const services = useServices();
  const input = useRef<HTMLInputElement>(null);
  const [empty, setEmpty] = useState(false);
  return (
    <div className="model-folder">
      <button type="button" className="model-row" onClick={() => input.current?.click()}>
        <Icon name="folder" size={15} />
        <span className="med">Open a checkpoint folder</span>
        <span className="t3 sm model-note">
          {lastFolder
            ? `“${lastFolder}” was open last. A page cannot keep files: choose it again`
            : 'safetensors files already on this computer; or drop the folder on the page'}
        </span>
      </button>
      <input
        ref={input}
        type="file"
        hidden
        aria-label="Model folder"
        data-testid="model-folder"
        // React has no name for it: the picker takes a folder, and the files come with their paths in it.
        {...{ webkitdirectory: '' }}
        onChange={(event) => {
          const folder = pickedFolder(event.target.files);
          event.target.value = '';
          setEmpty(folder === undefined);
          if (folder) chooseFolder(services, folder);
        }}
      />
      {empty && (
        <p className="field-problem" role="alert">
          The browser gave no files of this folder. Drop it on the page instead.
        </p>
      )}
    </div>
  );
}

function UrlForm() {
  const services = useServices();
  const id = useId();
  const hub = useModels((models) => models.hub);
  const [text, setText] = useState('');
  const [problem, setProblem] = useState<string>();
  return (
    <form
      className="model-url"
      onSubmit={(event) => {
        event.preventDefault();
        const checked = modelUrl(text, document.baseURI, hub);
        if ('problem' in checked) {
          setProblem(checked.problem);
          return;
        }
        setProblem(undefined);
        setText('');
        chooseModel(services, { kind: 'url', url: checked.url });
      }}
    >
      <label htmlFor={id} className="t3 sm">
        From the hub, or an address
      </label>
      <div className="row">
        <input
          id={id}
          className="in"
          type="text"
          inputMode="url"
          autoCapitalize="off"
          autoComplete="off"
          spellCheck={false}
          placeholder="Zhang199/TinyLLaVA-Video-R1"
          value={text}
          aria-invalid={problem !== undefined}
          aria-describedby={problem ? `${id}-problem` : undefined}
          onChange={(event) => setText(event.target.value)}
        />
        <button type="submit" className="btn">
          Load
        </button>
      </div>
      {problem && (
        <p id={`${id}-problem`} className="field-problem" role="alert">
          {problem}
        </p>
      )}
    </form>
  );
}

/** Where names of the form owner/name are looked for. */
function HubField() {
  const { models } = useServices();
  const hub = useModels((state) => state.hub);
  const id = useId();
  const [text, setText] = useState(hub ?? DEFAULT_HUB);
  const checked = hubUrl(text, document.baseURI);
  const problem = 'problem' in checked ? checked.problem : undefined;
  const keep = () => {
    if ('problem' in checked) return;
    setText(checked.url);
    const { hub: _, ...rest } = models.getState();
    models.setState(checked.url === DEFAULT_HUB ? rest : { ...rest, hub: checked.url }, true);
  };
  return (
    <div className="model-hub">
      <label htmlFor={id} className="t3 sm">
        Hub
      </label>
      <input
        id={id}
        className="in"
        type="text"
        inputMode="url"
        autoCapitalize="off"
        autoComplete="off"
        spellCheck={false}
        value={text}
        aria-invalid={problem !== undefined}
        aria-describedby={problem ? `${id}-problem` : undefined}
        onChange={(event) => setText(event.target.value)}
        onBlur={keep}
      />
      {problem && (
        <p id={`${id}-problem`} className="field-problem" role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}

function sameModel(a: ChosenModel, b: ChosenModel): boolean {
  if (a.kind === 'url' && b.kind === 'url') return a.url === b.url;
  if (a.kind === 'folder' && b.kind === 'folder') return a.name === b.name;
  return a.kind === b.kind;
}
