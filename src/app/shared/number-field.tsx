import { useEffect, useId, useState } from 'react';

/** A number with its bounds. A value that is out of them is marked, said, and not used. */
export function NumberField({
  label,
  value,
  bounds,
  problem,
  onChange,
  disabled,
  hint,
}: {
  label: string;
  value: number;
  bounds: { min: number; max: number; step: number };
  /** Why a value will not do; undefined where it will. */
  problem: (value: number) => string | undefined;
  onChange: (value: number) => void;
  disabled: boolean;
  hint: string;
}) {
  const id = useId();
  const [text, setText] = useState(String(value));
  useEffect(() => {
    setText((current) => (Number(current) === value && current !== '' ? current : String(value)));
  }, [value]);
  const wrong = text.trim() === '' ? 'A number is missing.' : problem(Number(text));
  return (
    <div className="field" title={hint}>
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        className="in"
        type="number"
        inputMode="decimal"
        min={bounds.min}
        max={bounds.max}
        step="any"
        value={text}
        disabled={disabled}
        aria-invalid={wrong !== undefined}
        aria-describedby={wrong ? `${id}-problem` : undefined}
        onChange={(event) => {
          setText(event.target.value);
          const number = event.target.valueAsNumber;
          if (problem(number) === undefined) onChange(number);
        }}
        onBlur={() => setText(String(value))}
      />
      {wrong && (
        <span id={`${id}-problem`} className="field-problem" role="status">
          {wrong}
        </span>
      )}
    </div>
  );
}
