import { useEffect, useState } from 'react';
import { Dialog } from '../shared/dialog';
import { Icon } from '../shared/icon';
import { type Capability, checkCapabilities } from './capabilities';

/** Where WebGPU is to be had. `tried` false: what the browsers' makers say, not tried by us. Also docs/browsers.md. */
const BROWSERS: readonly { name: string; how: string; tried: boolean }[] = [
  {
    name: 'Chrome or Edge 113 and later, on Windows, macOS, ChromeOS',
    how: 'On by default. Where it is not: Settings, System, “Use graphics acceleration when available”. chrome://gpu says if WebGPU is switched off for your driver.',
    tried: false,
  },
  {
    name: 'Chrome or Edge on Linux',
    how: 'May need chrome://flags/#enable-unsafe-webgpu and Vulkan. Headless Chromium 156 on its CPU adapter is what the tests run on.',
    tried: true,
  },
  {
    name: 'Chrome 121 and later on Android 12 and later',
    how: 'On by default on many GPUs. Memory is small: the toy model fits.',
    tried: false,
  },
  {
    name: 'Safari 26 and later, on macOS 26, iOS 26, iPadOS 26',
    how: 'On by default. On macOS before it: Develop, Feature Flags, WebGPU.',
    tried: false,
  },
  {
    name: 'Firefox 141 and later on Windows, 145 and later on Apple silicon',
    how: 'On by default there. Elsewhere about:config, dom.webgpu.enabled.',
    tried: false,
  },
];

/** Why no model runs here: what the page needs, what this browser has of it, and where the rest is to be had. */
export function SupportDialog() {
  return (
    <Dialog name="support" title="What this page needs" className="wide">
      <Support />
    </Dialog>
  );
}

function Support() {
  const [found, setFound] = useState<Capability[]>([]);
  useEffect(() => {
    let gone = false;
    void checkCapabilities().then((list) => gone || setFound(list));
    return () => {
      gone = true;
    };
  }, []);
  return (
    <div className="support">
      <p className="t2">
        The model is arithmetic on a few million to a few billion numbers, and only the GPU does that fast
        enough. Everything runs on this device, so this browser has to offer all of these.
      </p>
      <ul className="needs" data-testid="needs">
        {found.map(({ code, name, ok, found: text }) => (
          <li key={code} data-ok={String(ok)}>
            <span className={ok ? 'ok' : ok === false ? 'err' : 't3'}>
              <Icon name={ok ? 'check' : ok === false ? 'x' : 'minus'} weight={1.8} />
              <span className="hidden">{ok ? 'There: ' : ok === false ? 'Missing: ' : 'Not known: '}</span>
            </span>
            <span className="med">{name}</span>
            <span className="t2 sm">{text}</span>
          </li>
        ))}
      </ul>
      <h3 className="h">Which browser has it</h3>
      <dl className="browsers">
        {BROWSERS.map(({ name, how, tried }) => (
          <div key={name}>
            <dt className="med">{name}</dt>
            <dd className="t2 sm">
              {how}{' '}
              <span className={`chip ${tried ? 'ok' : 'n'}`}>{tried ? 'tried' : 'not tried by us'}</span>
            </dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
