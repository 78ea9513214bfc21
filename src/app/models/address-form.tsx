import { useId, useState } from 'react';
import { useModels, useServices } from '../store/app-services';
import { chooseUrl } from './choose-model';
import { DEFAULT_HUB, DEFAULT_MODEL, hubUrl, modelUrl } from './model-url';

/** A model by its name at the hub or by its address, and the hub's own address. */
export function AddressForm() {
  return (
    <>
      <UrlForm />
      <HubField />
    </>
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
        const checked = modelUrl(text.trim() || DEFAULT_MODEL, document.baseURI, hub);
        if ('problem' in checked) {
          setProblem(checked.problem);
          return;
        }
        setProblem(undefined);
        setText('');
        chooseUrl(services, checked.url);
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
          placeholder={DEFAULT_MODEL}
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
