import { Dialog } from './dialog';

const KEYS: readonly [string, string][] = [
  ['⌘ or Ctrl + Enter', 'Ask'],
  ['Esc', 'Stop the answer, or close what is open'],
  ['Space', 'Play or pause the video'],
  [', and .', 'Sampled frame back and on'],
  ['← and →', 'Token back and on'],
  ['Home and End', 'First token; follow the newest again'],
  ['A and Shift + A', 'Next and last aha moment'],
  ['F', 'Continue the answer from the chosen alternative'],
  ['1 to 8', 'Answer of a group'],
  ['R', 'Answers of a group by reward, or in their order'],
  ['G', 'The group on the whole page, or beside the question'],
  ['P and S', 'On the Train page: pause the run or let it go on, save it now'],
  ['B and T', 'On the Bench page: measure the kernels, test them'],
  ['M', 'Models'],
  ['D', 'Theme: system, light, dark'],
  ['?', 'This list'],
];

/** All keys, in a modal dialog. */
export function HelpDialog() {
  return (
    <Dialog name="help" title="Keys">
      <dl>
        {KEYS.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd className="kbd">{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <p className="t3 sm">Single keys are off while a text field has the focus.</p>
    </Dialog>
  );
}
