/** The way from the shared prefix down to each column: one root, `count` children. */
export function BranchLines({ count }: { count: number }) {
  const height = 30;
  const middle = height / 2;
  return (
    <div className="branches" aria-hidden="true">
      <i style={{ left: '50%', top: 0, height: middle }} />
      <i className="across" style={{ left: `${50 / count}%`, right: `${50 / count}%`, top: middle }} />
      {Array.from({ length: count }, (_, index) => {
        const place = ((index + 0.5) / count) * 100;
        const side = Math.abs(place - 50) < 0.01 ? '' : place < 50 ? 'from-right' : 'from-left';
        return (
          <i
            key={place}
            className={`down ${side}`}
            style={{ left: `${place}%`, top: middle, height: middle }}
          />
        );
      })}
    </div>
  );
}
