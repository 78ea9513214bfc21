const DECIMAL = '[+-]?(?:\\d+\\.?\\d*|\\.\\d+)';
const FRACTION = new RegExp(`^([+-]?)\\\\[dt]?frac\\{(${DECIMAL})\\}\\{(${DECIMAL})\\}$`);
const QUOTIENT = new RegExp(`^(${DECIMAL})(?:\\s*/\\s*(${DECIMAL}))?$`);
/** math-verify rounds to six digits behind the point. */
const TOLERANCE = 5e-7;

/** The value of a decimal number, a quotient or a LaTeX fraction, also between `$`; undefined for all else. */
function readNumber(text: string): number | undefined {
  const bare = text.replace(/^\$+|\$+$/g, '').trim();
  const quotient = QUOTIENT.exec(bare);
  if (quotient) return Number(quotient[1]) / Number(quotient[2] ?? 1);
  const fraction = FRACTION.exec(bare);
  if (!fraction) return undefined;
  return ((fraction[1] === '-' ? -1 : 1) * Number(fraction[2])) / Number(fraction[3]);
}

/** Whether two texts are numbers of the same value: "0.5" and "$\frac{1}{2}$". */
export function sameNumber(a: string, b: string): boolean {
  const x = readNumber(a);
  const y = readNumber(b);
  return x !== undefined && y !== undefined && Math.abs(x - y) < TOLERANCE;
}
