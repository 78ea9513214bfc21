import { type ReactNode, useEffect, useId, useState } from 'react';
import { parseSetting, settingText } from './run-problems';

/** A setting of the form: its name, which a press explains, its field, and what is wrong with its value. */
export function ConfigRow({
  name,
  explanation,
  problem,
  children,
}: {
  name: string;
  explanation: string;
  problem?: string | undefined;
  /** The field; it gets the ids of its label and of what is wrong. */
  children: (ids: { labelledBy: string; describedBy: string | undefined }) => ReactNode;
}) {
  const id = useId();
  const [open, setOpen] = useState(false);
  return (
    <div className="cf" data-setting={name}>
      <button
        type="button"
        id={id}
        className="cf-name"
        title={explanation}
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        {name}
      </button>
      {children({ labelledBy: id, describedBy: problem ? `${id}-problem` : undefined })}
      {open && <p className="cf-note xs t3">{explanation}</p>}
      {problem && (
        <p id={`${id}-problem`} className="cf-note field-problem" role="status">
          {problem}
        </p>
      )}
    </div>
  );
}

interface FieldProps {
  ids: { labelledBy: string; describedBy: string | undefined };
  /** Shown as text: it cannot be changed now. */
  locked: boolean;
}

/** A number as text: 1e-4, 0.04, inf. With `commit`, changes count when the field is left or Enter is pressed. */
export function NumberSetting({
  value,
  onChange,
  ids,
  locked,
  commit = false,
}: FieldProps & { value: number; onChange: (value: number) => void; commit?: boolean }) {
  const [text, setText] = useState(settingText(value));
  useEffect(() => {
    setText((now) => (Object.is(parseSetting(now), value) ? now : settingText(value)));
  }, [value]);
  if (locked) return <span className="cf-value">{settingText(value)}</span>;
  return (
    <input
      className="cf-value in"
      type="text"
      inputMode="decimal"
      autoComplete="off"
      spellCheck={false}
      aria-labelledby={ids.labelledBy}
      aria-describedby={ids.describedBy}
      aria-invalid={ids.describedBy !== undefined}
      value={text}
      onChange={(event) => {
        setText(event.target.value);
        if (!commit) onChange(parseSetting(event.target.value));
      }}
      onKeyDown={(event) => {
        if (event.key === 'Enter') event.currentTarget.blur();
      }}
      onBlur={() => {
        const number = parseSetting(text);
        // What was refused before is taken back, too, by writing the value that holds.
        if (commit && (ids.describedBy || !Object.is(number, value))) onChange(number);
        if (!commit && Object.is(number, value)) setText(settingText(value));
      }}
    />
  );
}

/** One of a few words. */
export function ChoiceSetting({
  value,
  choices,
  onChange,
  ids,
  locked,
}: FieldProps & { value: string; choices: readonly string[]; onChange: (value: string) => void }) {
  if (locked) return <span className="cf-value">{value}</span>;
  return (
    <select
      className="cf-value in"
      aria-labelledby={ids.labelledBy}
      aria-describedby={ids.describedBy}
      value={value}
      onChange={(event) => onChange(event.target.value)}
    >
      {choices.map((choice) => (
        <option key={choice}>{choice}</option>
      ))}
    </select>
  );
}

/** On or off. */
export function FlagSetting({
  value,
  onChange,
  ids,
  locked,
}: FieldProps & { value: boolean; onChange: (value: boolean) => void }) {
  if (locked) return <span className="cf-value">{value ? 'on' : 'off'}</span>;
  return (
    <span className="cf-value">
      <input
        type="checkbox"
        aria-labelledby={ids.labelledBy}
        checked={value}
        onChange={(event) => onChange(event.target.checked)}
      />
    </span>
  );
}
