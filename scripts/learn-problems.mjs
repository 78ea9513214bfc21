/** Held-out questions before and after. */
export const QUESTIONS = 512;

const LEAST_GAIN = 0.15;
/** Share of the base's traces that check themselves. */
const LEAST_CHECKS = 0.15;
const MOST_SECONDS = 45 * 60;
/** In standard errors: a difference this large has a chance of 0.002. */
const NOISE = 3.1;

/** What the report of a run of the toy preset (the last line of `npm run train`) lacks of the proof, a sentence each. */
export function learnProblems(report) {
  const { eval_before: before, eval_after: after, seconds } = report;
  const gain = after.accuracy_sampled - before.accuracy_sampled;
  const blank = report.accuracy_blank_frames_after - report.accuracy_blank_frames_before;
  const share = (report.accuracy_blank_frames_after + report.accuracy_blank_frames_before) / 2;
  const error = Math.sqrt((2 * share * (1 - share)) / QUESTIONS);
  const checks = after.self_check_rate - before.self_check_rate;
  const found = [];
  if (!(gain >= LEAST_GAIN))
    found.push(`sampled accuracy rose by ${gain.toFixed(3)}, less than ${LEAST_GAIN}`);
  if (!(Math.abs(blank) <= NOISE * error))
    found.push(
      `accuracy on black frames changed by ${blank.toFixed(3)}, ${(blank / error).toFixed(1)} standard errors`,
    );
  if (!(before.self_check_rate >= LEAST_CHECKS))
    found.push(
      `${before.self_check_rate.toFixed(3)} of the base’s traces check themselves, not ${LEAST_CHECKS}`,
    );
  const { checked_right_before: first, checked_right_after: then } = before;
  if (!(then > first))
    found.push(`checks of the base break as much as they fix: ${first} are right before, ${then} after`);
  if (!(checks > 0)) found.push(`the share of traces that check themselves changed by ${checks.toFixed(3)}`);
  if (!(seconds <= MOST_SECONDS)) found.push(`it took ${(seconds / 60).toFixed(0)} minutes`);
  return found;
}
