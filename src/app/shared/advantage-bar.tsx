/** From a centre line to the right above zero, to the left below: the scale goes from -2 to 2. */
export function AdvantageBar({ value }: { value: number }) {
  const half = (Math.min(Math.abs(value), 2) / 2) * 50;
  return (
    <div className="advantage-bar" aria-hidden="true">
      <i
        className={value < 0 ? 'neg' : 'pos'}
        style={{ left: `${value < 0 ? 50 - half : 50}%`, width: `${half}%` }}
      />
    </div>
  );
}
