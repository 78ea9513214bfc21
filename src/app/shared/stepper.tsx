import { useId } from 'react';
import { Icon } from './icon';

/** A whole number between two bounds, by a button down, a button up, and the arrow keys. */
export function Stepper({
  label,
  value,
  min,
  max,
  onChange,
  disabled,
  hint,
}: {
  label: string;
  value: number;
  min: number;
  max: number;
  onChange: (value: number) => void;
  disabled: boolean;
  hint: string;
}) {
  const id = useId();
  const step = (by: number) => onChange(Math.max(min, Math.min(max, value + by)));
  return (
    <div className="field" title={hint}>
      <span id={id} className="field-name">
        {label}
      </span>
      <div className="in stepper">
        <button
          type="button"
          tabIndex={-1}
          aria-label={`${label}: one less`}
          disabled={disabled || value <= min}
          onClick={() => step(-1)}
        >
          <Icon name="minus" size={14} />
        </button>
        <span
          role="spinbutton"
          tabIndex={disabled ? -1 : 0}
          aria-labelledby={id}
          aria-valuemin={min}
          aria-valuemax={max}
          aria-valuenow={value}
          aria-disabled={disabled}
          onKeyDown={(event) => {
            const by = {
              ArrowUp: 1,
              ArrowRight: 1,
              ArrowDown: -1,
              ArrowLeft: -1,
              Home: min - max,
              End: max - min,
            }[event.key];
            if (by === undefined || disabled) return;
            event.preventDefault();
            step(by);
          }}
        >
          {value}
        </span>
        <button
          type="button"
          tabIndex={-1}
          aria-label={`${label}: one more`}
          disabled={disabled || value >= max}
          onClick={() => step(1)}
        >
          <Icon name="plus" size={14} />
        </button>
      </div>
    </div>
  );
}
